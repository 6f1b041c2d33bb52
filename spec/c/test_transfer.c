/* clo_transfer without a network: the guard's two callbacks, the answer's
 * buffer, and what is forgotten when. */
#include "alloc.h"
#include "clo_transfer.h"
#include "test.h"

static struct clo_transfer *transfer;

static int make(void **state) {
  transfer = clo_transfer_new(1000);
  return transfer == NULL;
}

static int drop(void **state) {
  alloc_fail(0);
  clo_transfer_free(transfer);
  transfer = NULL;
  return 0;
}

static void load(const char *body, size_t len) {
  struct clo_request request;
  memset(&request, 0, sizeof request);
  request.method = "POST";
  request.url = "https://api.close.com/";
  request.body = body;
  request.body_len = len;
  request.auth = CLO_AUTH_BASIC;
  request.secret = "api_secret";
  assert_int_equal(clo_transfer_load(transfer, &request), 1);
  clo_transfer_rewind(transfer);
}

/* ---- the guard ---- */

static void a_body_is_handed_over_in_parts(void **state) {
  char into[8];
  load("0123456789", 10);
  assert_int_equal(clo_transfer_on_read(into, 1, 4, transfer), 4);
  assert_memory_equal(into, "0123", 4);
  assert_int_equal(transfer->body_read, 4);
  assert_int_equal(clo_transfer_on_read(into, 2, 4, transfer), 6);
  assert_memory_equal(into, "456789", 6);
  assert_int_equal(transfer->body_read, 10);
}

/* libcurl knows its length, and asks for more only if it begins again. */
static void a_body_is_handed_over_once(void **state) {
  char into[16];
  load("0123456789", 10);
  assert_int_equal(clo_transfer_on_read(into, 1, 16, transfer), 10);
  assert_int_equal(clo_transfer_on_read(into, 1, 16, transfer),
                   CURL_READFUNC_ABORT);
  assert_int_equal(transfer->body_read, 10);
}

static void no_body_is_handed_over_as_nothing(void **state) {
  char into[8];
  load(NULL, 0);
  assert_int_equal(clo_transfer_on_read(into, 1, 8, transfer), 0);
  assert_int_equal(transfer->body_read, 0);
}

static int seek(curl_off_t offset, int origin) {
  return clo_transfer_on_seek(transfer, offset, origin);
}

static void only_an_untouched_body_is_rewound(void **state) {
  char into[1];
  load("0123456789", 10);
  assert_int_equal(seek(0, SEEK_SET), CURL_SEEKFUNC_OK);
  assert_int_equal(seek(1, SEEK_SET), CURL_SEEKFUNC_FAIL);
  assert_int_equal(seek(0, SEEK_CUR), CURL_SEEKFUNC_FAIL);
  assert_int_equal(seek(0, SEEK_END), CURL_SEEKFUNC_FAIL);
  clo_transfer_on_read(into, 1, 1, transfer);
  /* Never "cannot seek", after which libcurl would try another way. */
  assert_int_equal(seek(0, SEEK_SET), CURL_SEEKFUNC_FAIL);
  clo_transfer_rewind(transfer);
  assert_int_equal(seek(0, SEEK_SET), CURL_SEEKFUNC_OK);
}

/* ---- the answer ---- */

static size_t answer(size_t n) {
  char bytes[1024];
  memset(bytes, 'a', sizeof bytes);
  return clo_transfer_on_write(bytes, 1, n, transfer) == n;
}

static void an_answer_has_a_maximum(void **state) {
  clo_transfer_rewind(transfer);
  assert_true(answer(0));
  assert_true(answer(600));
  assert_true(answer(400));
  assert_true(answer(0));
  assert_int_equal(transfer->too_large, 0);
  assert_false(answer(1));
  assert_int_equal(transfer->too_large, 1);
  assert_int_equal(transfer->answer.len, 1000);
}

static void a_lack_of_memory_is_not_called_too_large(void **state) {
  char line[] = {'N', ':', '1', '\r', '\n'};
  clo_transfer_rewind(transfer);
  alloc_fail_from(1);
  assert_false(answer(10));
  assert_int_equal(clo_transfer_on_header(line, 1, sizeof line, transfer), 0);
  alloc_fail(0);
  assert_int_equal(transfer->too_large, 0);
}

static int holds(const struct clo_buf *buf, const char *bytes) {
  size_t i, n = strlen(bytes);
  for (i = 0; buf->data && i + n <= buf->cap; i++)
    if (memcmp(buf->data + i, bytes, n) == 0) return 1;
  return 0;
}

/* RFC 4648's padding, and bytes above ASCII. */
static void a_key_becomes_a_header(void **state) {
  static const char *const keys[][2] = {
      {"", "Og=="}, {"a", "YTo="}, {"ab", "YWI6"}, {"abc", "YWJjOg=="},
      {"api_123", "YXBpXzEyMzo="}, {"\xFF\xFE", "//46"}};
  struct clo_request request;
  char line[64];
  size_t i;
  (void)state;
  memset(&request, 0, sizeof request);
  request.method = "GET";
  request.url = "https://api.close.com/";
  request.auth = CLO_AUTH_BASIC;
  for (i = 0; i < sizeof keys / sizeof *keys; i++) {
    request.secret = keys[i][0];
    assert_int_equal(clo_transfer_load(transfer, &request), 1);
    snprintf(line, sizeof line, "Authorization: Basic %s", keys[i][1]);
    assert_string_equal(transfer->authorization.data, line);
  }
}

static void a_cleared_transfer_has_no_secret(void **state) {
  load("0123456789", 10);
  assert_true(holds(&transfer->secret, "YXBpX3NlY3JldDo="));
  clo_transfer_clear(transfer);
  assert_false(holds(&transfer->secret, "YXBp"));
  assert_false(holds(&transfer->secret, "JldDo="));
  assert_int_equal(transfer->body.len + transfer->url.len, 0);
}

/* What is left of the last one would make another outcome of the next. */
static void an_attempt_has_nothing_of_the_one_before(void **state) {
  struct clo_transfer *t = transfer;
  load("0123456789", 10);
  t->body_read = 10;
  t->is_given = t->has_begun = t->on_kept = 1;
  t->too_large = t->no_memory = t->unwatched = t->is_looked_up = 1;
  t->open_error = t->is_refused = t->odd = 1;
  t->head = CLO_HEADERS_MAX;
  t->headers_whole = t->answer_began = t->interim = t->codings = 1;
  t->code = CURLE_OUT_OF_MEMORY;
  t->server_delay = 60;
  t->has_rate = 1;
  strcpy(t->message, "it failed");
  t->end.status = 503;
  t->end.request_left = 1;
  clo_buf_append(&t->headers, "A: b\r\n", 6);
  clo_buf_append(&t->answer, "{}", 2);
  clo_transfer_rewind(t);
  assert_int_equal(t->body_read, 0);
  assert_int_equal(t->is_given + t->has_begun + t->on_kept, 0);
  assert_int_equal(t->too_large + t->no_memory, 0);
  assert_int_equal(t->unwatched + t->is_looked_up, 0);
  assert_int_equal(t->open_error + t->is_refused + t->odd, 0);
  assert_int_equal(t->head, 0);
  assert_int_equal(t->headers_whole + t->answer_began, 0);
  assert_int_equal(t->interim + t->codings, 0);
  assert_int_equal(t->code, CURLE_OK);
  assert_true(t->server_delay == -1);
  assert_int_equal(t->has_rate, 0);
  assert_string_equal(t->message, "");
  assert_int_equal(t->end.status + t->end.request_left, 0);
  assert_int_equal(t->headers.len + t->answer.len, 0);
}

static void a_large_buffer_is_not_kept(void **state) {
  size_t large = 1024 * 1024;
  char *body = calloc(1, large);
  assert_non_null(body);
  load(body, large);
  clo_transfer_clear(transfer);
  assert_int_equal(transfer->body.cap, 0);
  load(body, 1000);
  clo_transfer_clear(transfer);
  assert_true(transfer->body.cap >= 1000);
  assert_true(transfer->body.cap <= 64 * 1024);
  free(body);
}

static void loading_may_lack_memory(void **state) {
  struct clo_request request;
  size_t nth, count;
  int loaded = 0;
  memset(&request, 0, sizeof request);
  request.method = "DELETE";
  request.url = "https://api.close.com/";
  request.auth = CLO_AUTH_BASIC;
  request.secret = "api_secret";
  request.body = "{}";
  request.body_len = 2;
  for (nth = 1; !loaded; nth++) {
    clo_transfer_free(transfer);
    transfer = clo_transfer_new(10);
    assert_non_null(transfer);
    alloc_fail(nth);
    loaded = clo_transfer_load(transfer, &request);
    count = alloc_count();
    alloc_fail(0);
    assert_int_equal(loaded, count < nth);
  }
  assert_int_equal(nth, 5); /* three failed, and the last one did not */
  assert_string_equal(transfer->method, "DELETE");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_body_is_handed_over_in_parts),
      TEST(a_body_is_handed_over_once),
      TEST(no_body_is_handed_over_as_nothing),
      TEST(only_an_untouched_body_is_rewound),
      TEST(an_answer_has_a_maximum),
      TEST(a_lack_of_memory_is_not_called_too_large),
      TEST(a_key_becomes_a_header),
      TEST(a_cleared_transfer_has_no_secret),
      TEST(an_attempt_has_nothing_of_the_one_before),
      TEST(a_large_buffer_is_not_kept),
      TEST(loading_may_lack_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
