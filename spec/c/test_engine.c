/* clo_engine: what is asked for travels, once and whole, and what is answered
 * comes back; over one connection where that can be kept. */
#include "drive.h"

#define BODY "{\"text\": \"Hello\"}"

static const struct reaction answers[] = {
    {.reply = "HTTP/1.1 201 Created\r\nX-One: 1\r\nContent-Length: 13\r\n"
              "RateLimit: limit=100, remaining=50, reset=5\r\n\r\n"
              "{\"id\": \"one\"}"},
    {.reply = OK_REPLY},
};

static void assert_header(const char *name, const char *value) {
  const struct taken *t = server_taken(server, 0);
  char line[256];
  assert_true(strlen(name) + strlen(value) + 7 < sizeof line);
  strcpy(line, "\r\n");
  strcat(strcat(strcat(strcat(line, name), ": "), value), "\r\n");
  if (!strstr(t->head, line)) fail_msg("no \"%s\" in %s", line + 2, t->head);
}

static void assert_no_header(const char *name) {
  const char *head = server_taken(server, 0)->head;
  if (strstr(head, name)) fail_msg("%s in %s", name, head);
}

static void assert_starts(const char *line) {
  assert_memory_equal(server_taken(server, 0)->head, line, strlen(line));
}

static void a_post_travels(void **state) {
  struct clo_request request;
  struct clo_transfer *t;
  scene_open(answers, COUNT(answers));
  request = request_of("POST", BODY);
  request.url = scene_url("/api/v1/activity/sms/?send_to_inbox=true");
  request.auth = CLO_AUTH_BASIC;
  request.secret = "api_123";
  t = call(&request);
  assert_end(t, CLO_OUTCOME_ANSWERED, 201, 1);
  assert_int_equal(server_copies(server, BODY, strlen(BODY)), 1);
  assert_starts("POST /api/v1/activity/sms/?send_to_inbox=true HTTP/1.1\r\n");
  assert_header("Content-Type", "application/json");
  assert_header("Accept", "application/json");
  assert_header("User-Agent", "close-spec/1");
  assert_header("Authorization", "Basic YXBpXzEyMzo="); /* "api_123:" */
  assert_header("Content-Length", "17");
  assert_no_header("Expect");
  assert_no_header("Transfer-Encoding");
}

static void the_answer_comes_back(void **state) {
  struct clo_transfer *t;
  const char *value;
  size_t len;
  scene_open(answers, COUNT(answers));
  t = call_of("POST", BODY);
  assert_int_equal(t->end.status, 201);
  assert_int_equal(t->end.cause, CLO_CAUSE_ANSWER);
  assert_int_equal(t->code, CURLE_OK);
  assert_int_equal(t->answer.len, 13);
  assert_memory_equal(t->answer.data, "{\"id\": \"one\"}", 13);
  value = clo_transfer_header(t, "x-one", &len);
  assert_true(value && len == 1 && *value == '1');
  value = clo_transfer_header(t, "ratelimit", &len);
  assert_true(value && len == strlen("limit=100, remaining=50, reset=5"));
  assert_null(clo_transfer_header(t, "x-two", &len));
  assert_true(seconds_taken(t) >= 0 && seconds_taken(t) < 5);
}

static void a_bearer_token_travels(void **state) {
  struct clo_request request;
  scene_open(answers, COUNT(answers));
  request = request_of("POST", BODY);
  request.auth = CLO_AUTH_BEARER;
  request.secret = "token_1";
  release(call(&request));
  assert_header("Authorization", "Bearer token_1");
}

static void no_call_has_the_key_of_the_one_before(void **state) {
  struct clo_request request;
  scene_open(answers, COUNT(answers));
  request = request_of("POST", BODY);
  request.auth = CLO_AUTH_BASIC;
  request.secret = "api_123";
  release(call(&request));
  release(call_of("POST", BODY));
  assert_null(strstr(server_taken(server, 1)->head, "Authorization"));
  request.auth = CLO_AUTH_BEARER;
  release(call(&request));
  assert_non_null(strstr(server_taken(server, 2)->head, ": Bearer api_123\r"));
}

static void other_methods_travel(void **state) {
  static const char *const methods[] = {"GET", "DELETE", "PUT", "POST", "GET"};
  size_t i;
  scene_open(answers + 1, 1);
  for (i = 0; i < COUNT(methods); i++) {
    int has_body = methods[i][0] == 'P';
    const struct taken *taken;
    row("%s", methods[i]);
    assert_works(methods[i], has_body ? BODY : NULL);
    taken = server_taken(server, i);
    assert_memory_equal(taken->head, methods[i], strlen(methods[i]));
    assert_int_equal(taken->head[strlen(methods[i])], ' ');
    assert_int_equal(taken->body_len, has_body ? strlen(BODY) : 0);
  }
  /* Who has no body that could be guarded has a connection of its own. */
  assert_int_equal(server_counts(server).connections, 2);
}

/* They share a handle, which keeps its options. */
static void no_call_has_the_target_of_the_one_before(void **state) {
  static const char *const targets[] = {"/a/?b=c", "/a/", "/d/?e=/f", "/g/"};
  size_t i;
  scene_open(answers + 1, 1);
  for (i = 0; i < COUNT(targets); i++) {
    struct clo_request request = request_of("GET", NULL);
    char line[32];
    request.url = scene_url(targets[i]);
    release(call(&request));
    snprintf(line, sizeof line, "GET %s HTTP", targets[i]);
    row("%s", server_taken(server, i)->head);
    assert_memory_equal(server_taken(server, i)->head, line, strlen(line));
  }
}

static void a_body_with_a_nul_arrives_whole(void **state) {
  static const char body[] = "{\"a\":\0\"b\"}";
  struct clo_request request;
  scene_open(answers, COUNT(answers));
  request = request_of("POST", body);
  request.body_len = sizeof body;
  release(call(&request));
  assert_int_equal(server_taken(server, 0)->body_len, sizeof body);
  assert_memory_equal(server_taken(server, 0)->body, body, sizeof body);
}

static void a_body_may_be_empty(void **state) {
  scene_open(answers + 1, 1);
  assert_works("POST", NULL);
  assert_header("Content-Length", "0");
}

static void a_large_body_arrives_once_and_whole(void **state) {
  enum { LARGE = 3 * 1024 * 1024 + 17 };
  static char body[LARGE + 1];
  struct clo_transfer *t;
  size_t i;
  for (i = 0; i < LARGE; i++) body[i] = (char)('a' + i % 23);
  scene_open(answers, COUNT(answers));
  for (i = 0; i < 2; i++) { /* on a new connection, on a kept one */
    body[0] = (char)('0' + i);
    t = call_of("POST", body);
    assert_int_equal(clo_policy_outcome(&t->end), CLO_OUTCOME_ANSWERED);
    assert_int_equal(server_copies(server, body, LARGE), 1);
    release(t);
  }
  assert_no_header("Expect");
  assert_int_equal(server_counts(server).connections, 1);
}

static void a_connection_is_kept(void **state) {
  int i;
  scene_open(answers + 1, 1);
  for (i = 0; i < 5; i++) assert_works("POST", BODY);
  assert_int_equal(server_counts(server).connections, 1);
  assert_int_equal(server_counts(server).taken, 5);
  assert_int_equal(server_counts(server).left, 0);
}

/* Whatever let such an address through, the key does not go there. */
static void http_is_refused_where_it_is_not_allowed(void **state) {
  struct clo_config config = scene_config();
  config.plain = 0;
  scene_open_with(&config, answers, COUNT(answers));
  assert_end(call_of("POST", BODY), CLO_OUTCOME_NOT_SENT, 0, 1);
  assert_int_equal(server_counts(server).connections, 0);
}

#define REDIRECT(status) \
  { .reply = REPLY(status, "Location: /elsewhere\r\n", "0\r\n\r\n") }

static void a_redirect_is_not_followed(void **state) {
  static const struct reaction away[] = {
      REDIRECT("301 Moved"), REDIRECT("302 Found"), REDIRECT("303 See"),
      REDIRECT("307 Moved"), REDIRECT("308 Moved")};
  static const int statuses[] = {301, 302, 303, 307, 308};
  static const char *const methods[] = {"POST", "GET"};
  size_t i;
  for (i = 0; i < COUNT(away) * 2; i++) {
    const char *method = methods[i % 2];
    row("%s, %d", method, statuses[i / 2]);
    scene_open(&away[i / 2], 1);
    assert_end(call_of(method, i % 2 ? NULL : BODY), CLO_OUTCOME_UNKNOWN,
               statuses[i / 2], 1);
    assert_int_equal(server_counts(server).begun, 1);
    scene_close(state);
  }
}

static void an_event_tells_of_each_attempt(void **state) {
  struct clo_config config = scene_config();
  const struct clo_event *event;
  config.events = 1;
  scene_open_with(&config, answers, COUNT(answers));
  assert_null(clo_engine_event(engine));
  release(call_of("POST", BODY));
  event = clo_engine_event(engine);
  assert_non_null(event);
  assert_string_equal(event->method, "POST");
  assert_int_equal(event->attempt, 1);
  assert_int_equal(event->end.status, 201);
  assert_int_equal(event->code, CURLE_OK);
  assert_true(event->retry_in < 0 && event->seconds >= 0);
  clo_engine_drop_event(engine);
  assert_null(clo_engine_event(engine));
  clo_engine_drop_event(engine);
}

static void the_environment_names_no_proxy(void **state) {
  char nowhere[64];
  snprintf(nowhere, sizeof nowhere, "http://127.0.0.1:%d",
           server_refusing_port());
  setenv("http_proxy", nowhere, 1);
  setenv("all_proxy", nowhere, 1);
  scene_open(answers + 1, 1);
  assert_works("POST", BODY);
  unsetenv("http_proxy");
  unsetenv("all_proxy");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_post_travels),
      TEST(the_answer_comes_back),
      TEST(a_bearer_token_travels),
      TEST(no_call_has_the_key_of_the_one_before),
      TEST(other_methods_travel),
      TEST(no_call_has_the_target_of_the_one_before),
      TEST(a_body_with_a_nul_arrives_whole),
      TEST(a_body_may_be_empty),
      TEST(a_large_body_arrives_once_and_whole),
      TEST(a_connection_is_kept),
      TEST(http_is_refused_where_it_is_not_allowed),
      TEST(a_redirect_is_not_followed),
      TEST(an_event_tells_of_each_attempt),
      TEST(the_environment_names_no_proxy),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
