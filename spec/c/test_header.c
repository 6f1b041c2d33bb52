/* clo_transfer's headers: how lines are gathered, found, and taken apart. */
#include "clo_transfer.h"
#include "test.h"

static struct clo_transfer *transfer;

static int make(void **state) {
  transfer = clo_transfer_new(1000);
  return transfer == NULL;
}

static int drop(void **state) {
  clo_transfer_free(transfer);
  transfer = NULL;
  return 0;
}

static size_t feed(const char *line) {
  char copy[256];
  size_t len = strlen(line);
  memcpy(copy, line, len); /* libcurl's lines end without a NUL */
  return clo_transfer_on_header(copy, 1, len, transfer) == len;
}

static void feed_all(const char *const *lines) {
  while (*lines) assert_true(feed(*lines++));
}

static void assert_value(const char *name, const char *value) {
  size_t len = 999;
  const char *is = clo_transfer_header(transfer, name, &len);
  if (!is && value) fail_msg("no %s", name);
  if (is && !value) fail_msg("%s is \"%.*s\"", name, (int)len, is);
  if (!value) return;
  assert_int_equal(len, strlen(value));
  assert_memory_equal(is, value, len);
}

static const char *const lines[] = {
    "HTTP/1.1 200 OK\r\n",
    "Plain: one\r\n",
    "BARE:two\r\n",
    "No colon at all\r\n",
    "Empty:\r\n",
    "Blank: \t \r\n",
    "Spaced:  \t a  b \t\r\n",
    ": no name\r\n",
    "Colons: a:b: c\r\n",
    "Twice: first\r\n",
    "tWiCe: second\r\n",
    "Folded: begins\r\n",
    "  and goes on \r\n",
    " \t \r\n",
    "\tfolded-too: with a colon\r\n",
    "Line-Feed: only\n",
    "Pla: shorter\r\n",
    "Plain-Longer: longer\r\n",
    "\r\n",
    NULL};

static void headers_are_found_by_name(void **state) {
  clo_transfer_rewind(transfer);
  feed_all(lines);
  assert_value("plain", "one");
  assert_value("bare", "two");
  assert_value("no colon at all", NULL);
  assert_value("empty", "");
  assert_value("blank", "");
  assert_value("spaced", "a  b");
  assert_value("", NULL);
  assert_value("colons", "a:b: c");
  assert_value("twice", "first");
  assert_value("folded", "begins and goes on folded-too: with a colon");
  assert_value("folded-too", NULL);
  assert_value("line-feed", "only");
  assert_value("pla", "shorter");
  assert_value("plain-longer", "longer");
  assert_value("plai", NULL);
  assert_value("http/1.1 200 ok", NULL);
}

static int next(size_t *at, struct clo_header *header) {
  return clo_header_next(transfer->headers.data, transfer->headers.len, at,
                         header);
}

static void headers_are_read_in_order(void **state) {
  static const char *const names[] = {
      "Plain", "BARE",   "Empty",     "Blank", "Spaced",      "Colons", "Twice",
      "tWiCe", "Folded", "Line-Feed", "Pla",   "Plain-Longer"};
  struct clo_header header;
  size_t at = 0, i;
  clo_transfer_rewind(transfer);
  feed_all(lines);
  for (i = 0; i < sizeof names / sizeof *names; i++) {
    assert_true(next(&at, &header));
    if (header.name_len != strlen(names[i]) ||
        memcmp(header.name, names[i], header.name_len) != 0)
      fail_msg("\"%.*s\" is not %s", (int)header.name_len, header.name,
               names[i]);
  }
  assert_false(next(&at, &header));
  assert_false(next(&at, &header));
}

static void there_may_be_none(void **state) {
  struct clo_header header;
  size_t at = 0, len;
  clo_transfer_rewind(transfer);
  assert_false(next(&at, &header));
  assert_null(clo_transfer_header(transfer, "plain", &len));
}

/* The last line's end may be missing, where a connection broke. */
static void a_line_may_be_cut_off(void **state) {
  clo_transfer_rewind(transfer);
  assert_true(feed("HTTP/1.1 200 OK\r\n"));
  assert_true(feed("Name: value"));
  assert_value("name", "value");
  clo_transfer_rewind(transfer);
  assert_true(feed("Name"));
  assert_value("name", NULL);
  clo_transfer_rewind(transfer);
  assert_true(feed("N:"));
  assert_value("n", "");
}

static void a_long_name_and_value_are_kept(void **state) {
  enum { LEN = 25000 };
  char *line = malloc(2 * LEN + 4);
  size_t len;
  assert_non_null(line);
  memset(line, 'n', LEN);
  line[LEN] = ':';
  memset(line + LEN + 1, 'v', LEN);
  line[2 * LEN + 1] = '\r';
  line[2 * LEN + 2] = '\n';
  clo_transfer_rewind(transfer);
  assert_int_equal(clo_transfer_on_header(line, 1, 2 * LEN + 3, transfer),
                   2 * LEN + 3);
  line[LEN] = '\0';
  assert_non_null(clo_transfer_header(transfer, line, &len));
  assert_int_equal(len, LEN);
  free(line);
}

static void a_status_line_begins_anew(void **state) {
  clo_transfer_rewind(transfer);
  assert_int_equal(transfer->answer_began, 0);
  assert_true(feed("HTTP/1.1 103 Early Hints\r\n"));
  assert_int_equal(transfer->answer_began, 1);
  assert_int_equal(transfer->headers_whole, 0);
  assert_true(feed("Early: 1\r\n"));
  assert_true(feed("Content-Encoding: gzip\r\n"));
  assert_true(feed("\r\n"));
  assert_int_equal(transfer->headers_whole, 1);
  assert_true(feed("HTTP/2 200\r\n"));
  assert_int_equal(transfer->headers_whole, 0);
  assert_value("early", NULL);
  assert_int_equal(transfer->codings, 0);
  assert_true(feed("Late: 1\r\n"));
  assert_int_equal(transfer->headers_whole, 0);
  assert_true(feed("\n"));
  assert_int_equal(transfer->headers_whole, 1);
  assert_value("late", "1");
}

static void a_header_may_begin_like_a_status_line(void **state) {
  clo_transfer_rewind(transfer);
  assert_true(feed("HTTP/1.1 200 OK\r\n"));
  assert_true(feed("Plain: one\r\n"));
  assert_true(feed("HTTP-Hint: two\r\n"));
  assert_value("plain", "one");
  assert_value("http-hint", "two");
}

static void nothing_is_before_the_first_header(void **state) {
  struct clo_header header;
  size_t at = 0;
  clo_transfer_rewind(transfer);
  assert_true(feed("HTTP/1.1 200 OK\r\n"));
  assert_true(feed(" Odd: 1\r\n"));
  assert_true(feed("Even: 2\r\n"));
  assert_true(feed("\r\n"));
  assert_value("odd", NULL);
  assert_value("even", "2");
  assert_true(next(&at, &header));
  assert_memory_equal(header.name, "Even:", 5);
}

static void a_trailer_is_no_header(void **state) {
  static const char *const trailers[] = {
      "Even: 3\r\n", "RateLimit: limit=1, remaining=0, reset=9\r\n",
      " folded\r\n", "HTTP/1.1 103 Odd\r\n", "\r\n", NULL};
  clo_transfer_rewind(transfer);
  assert_true(feed("HTTP/1.1 200 OK\r\n"));
  assert_true(feed("Even: 2\r\n"));
  assert_true(feed("\r\n"));
  feed_all(trailers);
  assert_value("even", "2");
  assert_value("ratelimit", NULL);
  assert_int_equal(transfer->headers_whole, 1);
  while (feed("X-Trailer: 0123456789\r\n")) /* they count, all the same */
    assert_true(transfer->head <= CLO_HEADERS_MAX);
  assert_int_equal(transfer->too_large, 1);
}

static void headers_have_a_maximum(void **state) {
  size_t taken = 0;
  clo_transfer_rewind(transfer);
  while (feed("0123456789: 0123456789\r\n"))
    assert_true((taken += 24) <= CLO_HEADERS_MAX);
  assert_true(taken > CLO_HEADERS_MAX - 24);
  assert_int_equal(transfer->too_large, 1);
  assert_true(transfer->headers.cap <= CLO_HEADERS_MAX);
  clo_transfer_rewind(transfer);
  assert_int_equal(transfer->too_large, 0);
}

/* Old libcurls take them for a 200. */
static void a_status_line_may_be_odd(void **state) {
  static const char *const odd[] = {
      "HTTP/9.1 200 OK", "HTTP/3 200", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20",
      "HTTP/1.1 x00 OK", "HTTP/1.1 2x0 OK", "HTTP/1.1 20x OK"};
  static const char *const fine[] = {"HTTP/1.0 200 OK", "HTTP/1.1  200 OK",
                                     "HTTP/1.1 200", "HTTP/2 200"};
  size_t i;
  for (i = 0; i < COUNT(odd); i++) {
    row("%s", odd[i]);
    clo_transfer_rewind(transfer);
    assert_false(transfer->odd);
    assert_true(feed(odd[i]));
    assert_true(transfer->odd);
  }
  for (i = 0; i < COUNT(fine); i++) {
    row("%s", fine[i]);
    assert_true(feed(fine[i]));
    assert_false(transfer->odd);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(headers_are_found_by_name),
      TEST(headers_are_read_in_order),
      TEST(there_may_be_none),
      TEST(a_line_may_be_cut_off),
      TEST(a_long_name_and_value_are_kept),
      TEST(a_status_line_begins_anew),
      TEST(a_header_may_begin_like_a_status_line),
      TEST(a_status_line_may_be_odd),
      TEST(nothing_is_before_the_first_header),
      TEST(a_trailer_is_no_header),
      TEST(headers_have_a_maximum),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
