/* clo_json: what of a JSON text is to be read differently, and all else as it
 * is. Each text stands in a block with no byte to spare. */
#include <stdio.h>

#include "clo_json.h"
#include "expect.h"
#include "test.h"

static const struct {
  const char *name;
  const char *text;
  const char *readable; /* NULL: the same */
} cases[] = {
    {"nothing", "", NULL},
    {"no string", "{}", NULL},
    {"a string", "{\"a\":\"b\"}", NULL},
    /* surrogates */
    {"a high one alone", "\"\\ud83d\"", "\"\\ufffd\""},
    {"a low one alone", "\"\\ude00\"", "\"\\ufffd\""},
    {"the first and the last of each",
     "\"\\ud800 \\udbff \\udc00 \\udfff\"",
     "\"\\ufffd \\ufffd \\ufffd \\ufffd\""},
    {"their neighbours", "\"\\ud7ff\\ue000\"", NULL},
    {"a pair", "\"\\ud83d\\ude00\"", NULL},
    {"a pair in capitals", "\"\\uD83D\\uDE00\"", NULL},
    {"half in capitals", "\"x\\uD83Dx\"", "\"x\\ufffdx\""},
    {"high before a pair", "\"\\ud83d\\ud83d\\ude00\"",
     "\"\\ufffd\\ud83d\\ude00\""},
    {"two high ones", "\"\\ud83d\\ud83d\"", "\"\\ufffd\\ufffd\""},
    {"low before high", "\"\\ude00\\ud83d\"", "\"\\ufffd\\ufffd\""},
    {"a pair before a low one", "\"\\ud83d\\ude00\\ude00\"",
     "\"\\ud83d\\ude00\\ufffd\""},
    {"high before another escape", "\"\\ud83d\\n\"", "\"\\ufffd\\n\""},
    {"high before another character's", "\"\\ud83d\\u0041\"",
     "\"\\ufffd\\u0041\""},
    {"high before what is no escape", "\"\\ud83dude00\"", "\"\\ufffdude00\""},
    {"high before an escaped backslash", "\"\\ud83d\\\\ude00\"",
     "\"\\ufffd\\\\ude00\""},
    {"high before an escape that is cut", "\"\\ud83d\\ude0\"",
     "\"\\ufffd\\ude0\""},
    {"an escaped backslash", "\"\\\\ud83d\"", NULL},
    {"an escaped backslash and half", "\"\\\\\\ud83d\"", "\"\\\\\\ufffd\""},
    {"in a name", "{\"\\ud83d\":1}", "{\"\\ufffd\":1}"},
    {"in two strings", "[\"\\ud83d\",\"\\ude00\"]",
     "[\"\\ufffd\",\"\\ufffd\"]"},
    {"after an escaped quote", "\"\\\"\\ud83d\"", "\"\\\"\\ufffd\""},
    {"outside of a string", "\\ud83d", NULL},
    {"no hexadecimal", "\"\\ud83g\"", NULL},
    {"cut amid an escape", "\"\\ud83", NULL},
    {"cut after a backslash", "\"\\", NULL},
    {"cut after half", "\"\\ud83d", "\"\\ufffd"},
    {"cut amid the second half", "\"\\ud83d\\ude", "\"\\ufffd\\ude"},
    /* numbers */
    {"2^53", "[9007199254740992,-9007199254740992]", NULL},
    {"2^53 + 1", "[9007199254740993]", "[\"9007199254740993\"]"},
    {"-2^53 - 1", "[-9007199254740993]", "[\"-9007199254740993\"]"},
    {"a longer one", "[10000000000000000]", "[\"10000000000000000\"]"},
    {"the last thing", "12345678901234567890", "\"12345678901234567890\""},
    {"two", "[12345678901234567,12345678901234568]",
     "[\"12345678901234567\",\"12345678901234568\"]"},
    {"one beside half a pair", "{\"\\ud83d\":12345678901234567}",
     "{\"\\ufffd\":\"12345678901234567\"}"},
    {"one in a string", "[\"12345678901234567\"]", NULL},
    {"with a fraction or an exponent",
     "[12345678901234567.0,12345678901234567e0,1e300]", NULL},
    {"with a capital or a sign",
     "[12345678901234567E0,12345678901234567e+0,12345678901234567e-0]", NULL},
    {"a small one", "[0.12345678901234567]", NULL},
    {"no number", "[--12345678901234567,+12345678901234567]", NULL},
    {"zeros first", "[00000000000000001,-00000000000000001]", NULL},
    /* nulls */
    {"the only member", "{\"a\":null}", "{}"},
    {"the first member", "{\"a\":null,\"b\":1}", "{\"b\":1}"},
    {"the last member", "{\"a\":1,\"b\":null}", "{\"a\":1}"},
    {"a member between two", "{\"a\":1, \"b\" : null , \"c\":2}",
     "{\"a\":1 , \"c\":2}"},
    {"all members", "{\"a\":null, \"b\":null,\"c\": null }", "{  }"},
    {"all but one", "{\"a\":null,\"b\":null,\"c\":3,\"d\":null,\"e\":null}",
     "{\"c\":3}"},
    {"a member inside", "{\"a\":{\"b\":null},\"c\":[{\"d\":1,\"e\":null}]}",
     "{\"a\":{},\"c\":[{\"d\":1}]}"},
    {"after a list", "{\"a\":[1,[]],\"b\":null}", "{\"a\":[1,[]]}"},
    {"an item", "[null,1,null]", NULL},
    {"null alone", "null", NULL},
    {"null in strings", "{\"a\":\": null,\",\"null\":\"null\"}", NULL},
    {"a name with escapes", "{\"a\\\"\\\\\":null}", "{}"},
    {"a name with half a pair", "{\"\\ud83d\":null}", "{\"\\ufffd\":null}"},
    {"after half a pair", "{\"\\ud83d\":1,\"a\":null}", "{\"\\ufffd\":1}"},
    {"after a quoted number", "{\"b\":12345678901234567,\"a\":null}",
     "{\"b\":\"12345678901234567\"}"},
    /* what is no JSON stays so */
    {"a comma after the last", "{\"a\":null,}", NULL},
    {"a comma before the first", "{,\"a\":null}", NULL},
    {"two commas", "{\"b\":1,,\"a\":null}", NULL},
    {"a comma after a colon", "{\"b\":,\"a\":null}", NULL},
    {"a name in a list", "[1,\"a\":null,\"b\"]", NULL},
    {"two values", "{\"a\":null 1}", NULL},
    {"no comma", "{\"b\":1 \"a\":null}", NULL},
    {"no name", "{\"a\" 5:null}", NULL},
    {"two names", "{\"a\":\"b\":null}", NULL},
    {"no colon", "{\"a\" null}", NULL},
    {"a longer word", "{\"a\":nullx}", NULL},
    {"the wrong bracket", "{\"a\":null]", NULL},
    {"cut after null", "{\"a\":null", NULL},
    {"cut after its comma", "{\"a\":null,", NULL},
    {"cut amid null", "{\"a\":nul", NULL},
    /* the byte order mark */
    {"a mark", "\xEF\xBB\xBF{}", "{}"},
    {"a mark alone", "\xEF\xBB\xBF", ""},
    {"two marks", "\xEF\xBB\xBF\xEF\xBB\xBF{}", "\xEF\xBB\xBF{}"},
    {"half a mark", "\xEF\xBB", NULL},
    {"a mark in a string", "\"\xEF\xBB\xBF\"", NULL},
    /* bytes */
    {"what is not UTF-8", "\"\xFF\xED\xA0\xBD\"", NULL},
};

/* Reads all parts; *count says how many there were. The caller frees it. */
static char *read(const char *text, size_t len, size_t *count) {
  struct clo_json json;
  struct clo_json_part part;
  char *copy = malloc(len > 0 ? len : 1);
  char *all = malloc(len + CLO_JSON_QUOTES(len) + 1);
  size_t used = 0;
  assert_non_null(copy);
  assert_non_null(all);
  memcpy(copy, text, len);
  clo_json_start(&json, copy, len);
  for (*count = 0; clo_json_next(&json, &part); ++*count) {
    assert_true(part.len > 0);
    assert_true(used + part.len + (part.quoted ? 2 : 0) <=
                len + CLO_JSON_QUOTES(len));
    if (part.quoted) all[used++] = '"';
    memcpy(all + used, part.s, part.len);
    used += part.len;
    if (part.quoted) all[used++] = '"';
  }
  all[used] = '\0';
  free(copy);
  return all;
}

static void each_text_is_read_as_it_is_meant(void **state) {
  size_t i, count;
  for (i = 0; i < COUNT(cases); i++) {
    const char *text = cases[i].text;
    const char *wanted = cases[i].readable ? cases[i].readable : text;
    char *got = read(text, strlen(text), &count);
    row("%s", cases[i].name);
    assert_string_equal(got, wanted);
    if (cases[i].readable == NULL) assert_true(count <= 1);
    free(got);
  }
}

/* What the reader has to clean afterwards. */
static void it_says_what_is_left(void **state) {
  static const struct {
    const char *text;
    int has_number, has_null;
  } rows[] = {{"{\"a\":null}", 0, 0},    {"{\"a\":[null]}", 0, 1},
              {"null", 0, 1},            {"{\"a\":\"1 null\"}", 0, 0},
              {"[12345678901234567]", 0, 0}, {"{\"a\":1.0}", 1, 0},
              {"[null,12345678901234567,0]", 1, 1}};
  size_t i;
  for (i = 0; i < COUNT(rows); i++) {
    struct clo_json json;
    struct clo_json_part part;
    clo_json_start(&json, rows[i].text, strlen(rows[i].text));
    while (clo_json_next(&json, &part)) continue;
    row("%s", rows[i].text);
    assert_int_equal(json.has_number, rows[i].has_number);
    assert_int_equal(json.has_null, rows[i].has_null);
  }
}

/* The look for whether a scan is needed misses no place and no length. */
static void a_place_is_found_wherever_it_is(void **state) {
  static const char *const odd[][2] = {
      {"[9007199254740993]", "[\"9007199254740993\"]"},
      {"[12345678901234567890]", "[\"12345678901234567890\"]"},
      {"\"\\uDe00\"", "\"\\ufffd\""}};
  char text[128], expected[128], *got;
  size_t before, after, i, count;
  (void)state;
  for (i = 0; i < COUNT(odd); i++)
    for (before = 0; before < 34; before++)
      for (after = 0; after < 34; after++) {
        snprintf(text, sizeof text, "%*s%s%*s", (int)before, "", odd[i][0],
                 (int)after, "");
        snprintf(expected, sizeof expected, "%*s%s%*s", (int)before, "",
                 odd[i][1], (int)after, "");
        got = read(text, strlen(text), &count);
        assert_string_equal(got, expected);
        free(got);
      }
}

/* What was read once has nothing left to change. */
static void random_texts_end(void **state) {
  static const char bytes[] = "\\\\u\"d8dcD3f01239-.e[:, \xEF\xBB\xBF";
  uint32_t seed = 2463534242u;
  char text[64], *once, *twice;
  size_t round, i, len, count;
  for (round = 0; round < 100000; round++) {
    for (i = 0; i < sizeof text; i++) {
      seed ^= seed << 13;
      seed ^= seed >> 17;
      seed ^= seed << 5;
      text[i] = bytes[seed % (sizeof bytes - 1)];
    }
    len = round % sizeof text + 1;
    text[0] = '"';
    once = read(text, len, &count);
    twice = read(once, strlen(once), &count);
    assert_string_equal(once, twice);
    free(once);
    free(twice);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_text_is_read_as_it_is_meant),
      cmocka_unit_test(it_says_what_is_left),
      cmocka_unit_test(a_place_is_found_wherever_it_is),
      cmocka_unit_test(random_texts_end),
  };
  return cmocka_run_group_tests_name("clo_json", tests, NULL, NULL);
}
