/* clo_coding: how many codings a header's line names. */
#include "clo_coding.h"
#include "test.h"

static const struct {
  const char *line;
  int count;
} lines[] = {
    {"Content-Encoding: gzip\r\n", 1},
    {"content-encoding:gzip", 1},
    {"CONTENT-ENCODING: \t x-gzip \t\r\n", 1},
    {"Content-Encoding: gzip, br\r\n", 2},
    {"Content-Encoding: gzip,gzip ,\t,deflate\r\n", 3},
    {"Content-Encoding: identity\r\n", 0},
    {"Content-Encoding: IDENTITY, gzip\r\n", 1},
    {"Content-Encoding: identities\r\n", 1},
    {"Content-Encoding: ident\r\n", 1},
    {"Content-Encoding:\r\n", 0},
    {"Content-Encoding: , ,\r\n", 0},
    {"Content-Encoding: gzip;q=1, br", 2},
    {"Content-Encoding: gzip ; q=1, br", 2},
    {"Transfer-Encoding: chunked\r\n", 0},
    {"Transfer-Encoding: gzip, chunked\r\n", 1},
    {"Content-Encoding\r\n", 0},
    {"Content-Encoding2: gzip\r\n", 0},
    {"Accept-Encoding: gzip\r\n", 0},
    {"Content-Type: gzip\r\n", 0},
    {": gzip\r\n", 0},
    {"\r\n", 0},
    {"", 0},
};

static void counts_the_codings_of_a_line(void **state) {
  size_t i;
  for (i = 0; i < sizeof lines / sizeof *lines; i++) {
    /* Without a NUL, so that the sanitizer sees one byte too far. */
    size_t len = strlen(lines[i].line);
    char *copy = test_malloc(len + !len);
    memcpy(copy, lines[i].line, len);
    row("%s", lines[i].line);
    assert_int_equal(clo_coding_count(copy, len), lines[i].count);
    test_free(copy);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_the_codings_of_a_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
