/* A form with a file: what goes over the wire, and that the guard holds for it
 * as for any body: the file is never sent a second time once it may have left
 * whole, neither by the engine nor by libcurl. */
#include "drive.h"

#define FILE_BYTES "GIF89a\0\r\n--no boundary--\r\n\xff"
#define OTHER "{\"text\": \"the one before\"}"

enum { LARGE = 16 * 1024 * 1024 }; /* more than the kernel's buffers hold */

static const struct clo_form_field fields[] = {
    {"key", "uploads/1/a.gif", 15},
    {"policy", "eyJ\0fQ==", 8},
    {"empty", "", 0}};

static struct clo_form form_of(const char *filename) {
  struct clo_form form;
  form.fields = fields;
  form.count = COUNT(fields);
  form.filename = filename;
  form.content_type = "image/gif";
  return form;
}

/* Good until the next call of it. */
static struct clo_request upload_of(const char *bytes, size_t len) {
  static struct clo_form form;
  struct clo_request request = request_of("POST", NULL);
  form = form_of("a.gif");
  request.url = scene_url("/storage/");
  request.body = bytes;
  request.body_len = len;
  request.form = &form;
  return request;
}

static struct clo_request upload(void) {
  return upload_of(FILE_BYTES, sizeof FILE_BYTES - 1);
}

static const char *find(const char *bytes, size_t len, const char *part,
                        size_t part_len) {
  size_t i;
  for (i = 0; i + part_len <= len; i++)
    if (memcmp(bytes + i, part, part_len) == 0) return bytes + i;
  return NULL;
}

#define WITH_NAME "Content-Disposition: form-data; name="

/* What a part says after its boundary and before the next one. */
static void assert_part(const char **at, size_t *len, const char *part,
                        size_t part_len) {
  const char *found = find(*at, *len, part, part_len);
  if (!found) fail_msg("not in the form, or not there: %s", part);
  found += part_len;
  *len -= (size_t)(found - *at);
  *at = found;
}
#define ASSERT_PART(part) assert_part(&at, &len, part, sizeof part - 1)

/* The i-th whole request is the form, its file last. */
static void assert_whole(size_t i) {
  const struct taken *taken = server_taken(server, i);
  const char *at = taken->body;
  size_t len = taken->body_len;
  assert_true(len <= sizeof taken->body);
  ASSERT_PART(WITH_NAME "\"key\"\r\n\r\nuploads/1/a.gif\r\n--");
  ASSERT_PART(WITH_NAME "\"policy\"\r\n\r\neyJ\0fQ==\r\n--");
  ASSERT_PART(WITH_NAME "\"empty\"\r\n\r\n\r\n--");
  ASSERT_PART(WITH_NAME "\"file\"; filename=\"a.gif\"\r\n"
              "Content-Type: image/gif\r\n\r\n" FILE_BYTES "\r\n--");
  assert_null(find(at, len, "\r\n--", 4)); /* that was the last boundary */
  assert_memory_equal(at + len - 4, "--\r\n", 4);
}

/* ---- over the wire ---- */

static const struct reaction created[] = {
    {.reply = REPLY("201 Created", "", "0\r\n\r\n")}};

static void a_form_goes_out_whole_with_its_file_last(void **state) {
  struct clo_request request;
  const char *head;
  scene_open(created, COUNT(created));
  request = upload();
  assert_end(call(&request), CLO_OUTCOME_ANSWERED, 201, 1);
  assert_whole(0);
  head = server_taken(server, 0)->head;
  assert_non_null(strstr(head, "POST /storage/ HTTP/1.1\r\n"));
  assert_non_null(strstr(head, "\r\nContent-Type: multipart/form-data; "));
  assert_null(strstr(head, "application/json"));
  assert_null(strstr(head, "Authorization"));
  assert_null(strstr(head, "Expect"));
  assert_null(strstr(head, "chunked"));
}

static void a_filename_stays_in_its_quotes(void **state) {
  struct clo_request request;
  struct clo_form form = form_of("a\"; x=\"\r\nX-Evil: 1\r\n\r\n.gif");
  const struct taken *taken;
  scene_open(created, COUNT(created));
  request = upload();
  request.form = &form;
  assert_end(call(&request), CLO_OUTCOME_ANSWERED, 201, 1);
  taken = server_taken(server, 0);
  assert_non_null(find(taken->body, taken->body_len,
                       "filename=\"a%22; x=%22%0D%0AX-Evil", 33));
  assert_null(find(taken->body, taken->body_len, "\r\nX-Evil", 8));
}

/* The easy handle and the transfer are used again. */
static void other_calls_are_as_before(void **state) {
  static const struct reaction script[] = {{.reply = OK_REPLY}};
  const char *const methods[] = {"POST", "PUT", "GET"};
  size_t i;
  scene_open(script, COUNT(script));
  for (i = 0; i < COUNT(methods); i++) {
    struct clo_request request = upload();
    const struct taken *taken;
    struct clo_transfer *t = call(&request);
    row("%s", methods[i]);
    assert_end(t, CLO_OUTCOME_ANSWERED, 200, 1);
    assert_whole(2 * i);
    release(t);
    assert_works(methods[i], i < 2 ? OTHER : NULL);
    taken = server_taken(server, 2 * i + 1);
    assert_int_equal(strncmp(taken->head, methods[i], strlen(methods[i])), 0);
    assert_non_null(
        strstr(taken->head, "\r\nContent-Type: application/json\r\n"));
    assert_int_equal(taken->body_len, i < 2 ? strlen(OTHER) : 0);
  }
  assert_int_equal(server_counts(server).connections, 1);
}

/* ---- the guard ---- */

static size_t ignore(char *bytes, size_t size, size_t n, void *unused) {
  (void)bytes;
  (void)unused;
  return size * n;
}

static void plain_form(CURL *easy) {
  curl_mime *mime = curl_mime_init(easy);
  curl_mimepart *part = curl_mime_addpart(mime);
  curl_mime_name(part, "file");
  curl_mime_data(part, FILE_BYTES, sizeof FILE_BYTES - 1);
  curl_easy_setopt(easy, CURLOPT_URL, scene_url("/storage/"));
  curl_easy_setopt(easy, CURLOPT_MIMEPOST, mime);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 5000L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_perform(easy);
  curl_mime_free(mime);
}

/* The first connection's second request is read, and never answered. */
static const struct reaction reads_and_closes[] = {
    {.reply = OK_REPLY}, {.then = THEN_CLOSE}, {.reply = OK_REPLY}};
static const struct reaction reads_and_resets[] = {
    {.reply = OK_REPLY}, {.then = THEN_RESET}, {.reply = OK_REPLY}};

/* The fault itself, so that these tests are known to see it. */
static void libcurl_alone_sends_a_form_twice(void **state) {
  CURL *easy;
  scene_open(reads_and_closes, COUNT(reads_and_closes));
  easy = curl_easy_init();
  assert_non_null(easy);
  plain_form(easy);
  plain_form(easy);
  curl_easy_cleanup(easy);
  assert_int_equal(server_counts(server).taken, 3);
}

/* A first call is answered; the form meets what the script says. */
static struct clo_transfer *second(const struct reaction *script, size_t count,
                                   struct clo_request (*make)(void)) {
  struct clo_request request;
  scene_open(script, count);
  assert_works("POST", OTHER);
  request = make();
  request.max_retries = 3;
  return call(&request);
}

static void assert_one_copy(const struct clo_transfer *t) {
  assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
  assert_int_equal(t->end.cause, CLO_CAUSE_CONNECTION);
  assert_int_equal(t->end.body_left, t->body.len);
  nap(0.05);
  assert_int_equal(server_counts(server).begun, 2);
  assert_int_equal(server_counts(server).taken, 2);
}

static void read_and_closed(void **state) {
  assert_one_copy(second(reads_and_closes, COUNT(reads_and_closes), upload));
}

static void read_and_reset(void **state) {
  assert_one_copy(second(reads_and_resets, COUNT(reads_and_resets), upload));
}

static struct clo_request large_upload(void) {
  static char bytes[LARGE];
  return upload_of(bytes, LARGE);
}

static void a_large_file_read_and_closed(void **state) {
  assert_one_copy(
      second(reads_and_closes, COUNT(reads_and_closes), large_upload));
}

/* There is nothing in it to refuse to rewind. */
static struct clo_request empty_upload(void) { return upload_of("", 0); }

static void an_empty_file_read_and_closed(void **state) {
  struct clo_transfer *t =
      second(reads_and_closes, COUNT(reads_and_closes), empty_upload);
  assert_end(t, CLO_OUTCOME_UNKNOWN, 0, 1);
  assert_int_equal(server_counts(server).taken, 2);
}

/* The headers leave before the file, so at their end libcurl may still begin
 * again. */
static void a_large_file_ended_on_its_way(void **state) {
  static const enum server_then ends[] = {THEN_CLOSE, THEN_RESET};
  static const enum server_when whens[] = {AT_HEADERS, AT_HALF};
  size_t i;
  for (i = 0; i < 4; i++) {
    struct reaction script[] = {{.reply = OK_REPLY},
                                {.when = whens[i / 2], .then = ends[i % 2]},
                                {.reply = OK_REPLY}};
    struct clo_transfer *t = second(script, COUNT(script), large_upload);
    int is_sent = i / 2 == 0 && t->end.status == 200;
    if (!is_sent) {
      assert_end(t, CLO_OUTCOME_NOT_SENT, 0, 1);
      assert_true(t->end.body_left > 0 && t->end.body_left < t->end.body_len);
    }
    assert_int_equal(server_counts(server).taken, is_sent ? 2 : 1);
    assert_int_equal(server_counts(server).begun, is_sent ? 3 : 2);
    scene_close(state);
  }
}

/* ---- what is sent again is whole ---- */

static void sent_again(const struct reaction *script, size_t count) {
  struct clo_request request;
  scene_open(script, count);
  request = upload();
  request.max_retries = 3;
  assert_end(call(&request), CLO_OUTCOME_ANSWERED, 200, 2);
  assert_whole(server_counts(server).taken - 1);
}

static void a_form_that_has_not_left_is_sent_again(void **state) {
  static const struct reaction script[] = {
      {.when = AT_ACCEPT, .then = THEN_CLOSE}, {.reply = OK_REPLY}};
  struct clo_request request;
  struct clo_transfer *t;
  scene_open(script, COUNT(script));
  request = upload();
  request.max_retries = 3;
  t = call(&request);
  /* The end and the form may cross on their way; it is honest then. */
  if (clo_policy_outcome(&t->end) == CLO_OUTCOME_ANSWERED) assert_whole(0);
  assert_int_equal(server_counts(server).taken,
                   clo_policy_outcome(&t->end) == CLO_OUTCOME_ANSWERED);
}

static void a_form_that_was_put_off_is_sent_again(void **state) {
  static const struct reaction kept[] = {
      {.reply = REPLY("429 Wait", "Retry-After: 0\r\n", "0\r\n\r\n")},
      {.reply = OK_REPLY}};
  static const struct reaction closed[] = {
      {.reply = REPLY("429 Wait", "Retry-After: 0\r\nConnection: close\r\n",
                      "0\r\n\r\n"),
       .then = THEN_CLOSE},
      {.reply = OK_REPLY}};
  sent_again(kept, COUNT(kept));
  assert_whole(0);
  scene_close(state);
  sent_again(closed, COUNT(closed));
}

static void a_form_is_not_sent_again_after_a_503(void **state) {
  static const struct reaction script[] = {
      {.reply = REPLY("503 Slow Down", "", "0\r\n\r\n")}, {.reply = OK_REPLY}};
  struct clo_request request;
  scene_open(script, COUNT(script));
  request = upload();
  request.max_retries = 3;
  assert_end(call(&request), CLO_OUTCOME_UNKNOWN, 503, 1);
  assert_int_equal(server_counts(server).begun, 1);
}

/* ---- ends of another kind ---- */

static void a_form_is_cancelled_wherever_it_is(void **state) {
  static const struct reaction script[] = {{.delay = 5, .reply = OK_REPLY}};
  struct clo_config config = scene_config();
  struct clo_request request;
  unsigned long running, queued;
  config.max_in_flight = 1;
  scene_open_with(&config, script, COUNT(script));
  request = upload();
  running = submit(&request);
  queued = submit(&request);
  step_until_taken(1);
  assert_int_equal(clo_engine_cancel(engine, queued), 1);
  assert_end(until_done(), CLO_OUTCOME_NOT_SENT, 0, 0);
  release(until_done());
  assert_int_equal(clo_engine_cancel(engine, running), 1);
  assert_end(until_done(), CLO_OUTCOME_UNKNOWN, 0, 1);
}

static void an_engine_ends_with_a_form_on_its_way(void **state) {
  static const struct reaction script[] = {{.delay = 5, .reply = OK_REPLY}};
  struct clo_request request;
  scene_open(script, COUNT(script));
  request = upload();
  submit(&request);
  submit(&request);
  step_until_taken(1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_form_goes_out_whole_with_its_file_last),
      TEST(a_filename_stays_in_its_quotes),
      TEST(other_calls_are_as_before),
      TEST(libcurl_alone_sends_a_form_twice),
      TEST(read_and_closed),
      TEST(read_and_reset),
      TEST(a_large_file_read_and_closed),
      TEST(an_empty_file_read_and_closed),
      TEST(a_large_file_ended_on_its_way),
      TEST(a_form_that_has_not_left_is_sent_again),
      TEST(a_form_that_was_put_off_is_sent_again),
      TEST(a_form_is_not_sent_again_after_a_503),
      TEST(a_form_is_cancelled_wherever_it_is),
      TEST(an_engine_ends_with_a_form_on_its_way),
  };
  return scene_end(cmocka_run_group_tests(tests, scene_begin, NULL));
}
