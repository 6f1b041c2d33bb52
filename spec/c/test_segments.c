/* clo_segments: the alphabet against the standard's own tables, edges worked
 * out by hand, and random texts against a second telling of the rule. */
#include "alloc.h"
#include "clo_format.h"
#include "clo_segments.h"
#include "test.h"

#define EURO "\xE2\x82\xAC"
#define EMOJI "\xF0\x9F\x91\x8B"

/* ---- the tables of 3GPP TS 23.038, in the order of the septets ---- */

#define ESCAPE 0xFFFFFFFF

static const uint32_t default_alphabet[128] = {
    '@', 0xA3, '$', 0xA5, 0xE8, 0xE9, 0xF9, 0xEC, /* 0x00 */
    0xF2, 0xC7, '\n', 0xD8, 0xF8, '\r', 0xC5, 0xE5,
    0x394, '_', 0x3A6, 0x393, 0x39B, 0x3A9, 0x3A0, 0x3A8, /* 0x10 */
    0x3A3, 0x398, 0x39E, ESCAPE, 0xC6, 0xE6, 0xDF, 0xC9,
    ' ', '!', '"', '#', 0xA4, '%', '&', '\'', /* 0x20 */
    '(', ')', '*', '+', ',', '-', '.', '/',
    '0', '1', '2', '3', '4', '5', '6', '7', /* 0x30 */
    '8', '9', ':', ';', '<', '=', '>', '?',
    0xA1, 'A', 'B', 'C', 'D', 'E', 'F', 'G', /* 0x40 */
    'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', /* 0x50 */
    'X', 'Y', 'Z', 0xC4, 0xD6, 0xD1, 0xDC, 0xA7,
    0xBF, 'a', 'b', 'c', 'd', 'e', 'f', 'g', /* 0x60 */
    'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', /* 0x70 */
    'x', 'y', 'z', 0xE4, 0xF6, 0xF1, 0xFC, 0xE0,
};

static const uint32_t extension_table[] = {
    '\f', '^', '{', '}', '\\', '[', '~', ']', '|', 0x20AC,
};

static size_t listed(const uint32_t *list, size_t count, uint32_t code) {
  size_t i, found = 0;
  for (i = 0; i < count; i++) found += list[i] == code;
  return found;
}

/* 0, 1 or 2. */
static size_t septets(uint32_t code) {
  return listed(default_alphabet, COUNT(default_alphabet), code) +
         2 * listed(extension_table, COUNT(extension_table), code);
}

static size_t encode(uint32_t code, char out[4]) {
  static const unsigned lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4, i;
  for (i = n - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3F));
  out[0] = (char)(lead[n] | code);
  return n;
}

static void knows_the_alphabet_and_no_more(void **state) {
  struct clo_segments got;
  uint32_t code;
  char bytes[4];
  size_t len, want;
  for (code = 0; code < 0x110000; code++) {
    if (code >= 0xD800 && code < 0xE000) continue;
    len = encode(code, bytes);
    want = septets(code);
    assert_int_equal(clo_segments_count(bytes, len, &got), len);
    if (got.ucs2 != (want == 0) || got.forced_count != (want == 0) ||
        got.units != (want > 0 ? want : code > 0xFFFF ? 2u : 1u) ||
        got.segments != 1 || got.remaining + got.units != got.per_segment)
      fail_msg("U+%04X", (unsigned)code);
  }
}

/* ---- edges ---- */

struct expected {
  const char *piece; /* a stretch of these */
  size_t times;
  const char *rest; /* what follows */
  int ucs2;
  size_t segments, units, remaining, per_segment;
};

static const struct expected edges[] = {
    {"", 0, "", 0, 0, 0, 160, 160},
    {"x", 1, "", 0, 1, 1, 159, 160},
    {"x", 160, "", 0, 1, 160, 0, 160},
    {"x", 161, "", 0, 2, 161, 145, 153},
    {"x", 158, "^", 0, 1, 160, 0, 160},
    {"x", 159, "^", 0, 2, 161, 145, 153},
    {"x", 306, "", 0, 2, 306, 0, 153},
    {"x", 307, "", 0, 3, 307, 152, 153},
    {"x", 305, "^", 0, 3, 307, 151, 153}, /* a gap of one */
    {"x", 304, "^", 0, 2, 306, 0, 153},
    {EURO, 80, "", 0, 1, 160, 0, 160},
    {EURO, 81, "", 0, 2, 162, 143, 153},
    {EURO, 152, "", 0, 2, 304, 1, 153},
    {EURO, 152, "x", 0, 2, 305, 0, 153},
    {EURO, 153, "", 0, 3, 306, 151, 153},
    {"x", 69, "\xC3\xA7", 1, 1, 70, 0, 70},
    {"x", 70, "\xC3\xA7", 1, 2, 71, 63, 67},
    {"x", 68, EMOJI, 1, 1, 70, 0, 70},
    {"x", 69, EMOJI, 1, 2, 71, 63, 67},
    {"x", 133, EMOJI, 1, 3, 135, 65, 67}, /* a gap of one */
    {"x", 132, EMOJI, 1, 2, 134, 0, 67},
    {EURO, 66, EMOJI EMOJI EMOJI, 1, 2, 72, 61, 67},
    {EMOJI, 35, "", 1, 1, 70, 0, 70},
    {EMOJI, 36, "", 1, 2, 72, 61, 67},
    {EMOJI, 66, "", 1, 2, 132, 1, 67},
    {EMOJI, 66, "x", 1, 2, 133, 0, 67},
    {EMOJI, 67, "", 1, 3, 134, 65, 67},
};

/* The text, with no byte to spare; the caller frees it. */
static char *make(const struct expected *edge, size_t *len) {
  size_t n = strlen(edge->piece), tail = strlen(edge->rest), i;
  char *text;
  *len = n * edge->times + tail;
  text = malloc(*len > 0 ? *len : 1);
  assert_non_null(text);
  for (i = 0; i < edge->times; i++) memcpy(text + i * n, edge->piece, n);
  memcpy(text + n * edge->times, edge->rest, tail);
  return text;
}

static void counts_at_the_edges(void **state) {
  struct clo_segments got;
  size_t i, len;
  char *text;
  for (i = 0; i < COUNT(edges); i++) {
    text = make(&edges[i], &len);
    row("%s x %zu, %s", edges[i].piece, edges[i].times, edges[i].rest);
    assert_int_equal(clo_segments_count(text, len, &got), len);
    free(text);
    if (got.ucs2 != edges[i].ucs2 || got.segments != edges[i].segments ||
        got.units != edges[i].units || got.remaining != edges[i].remaining ||
        got.per_segment != edges[i].per_segment)
      fail_msg("%zu segments, %zu units, %zu remaining of %zu", got.segments,
               got.units, got.remaining, got.per_segment);
  }
}

static void lists_what_forced_it(void **state) {
  static const char text[] = "a\xC3\xA7\0" EMOJI "\xC3\xA7" EURO "\0`";
  static const size_t at[] = {1, 3, 4, 14}, len[] = {2, 1, 4, 1};
  struct clo_segments got;
  size_t i;
  clo_segments_count(text, sizeof text - 1, &got);
  assert_int_equal(got.forced_count, COUNT(at));
  for (i = 0; i < COUNT(at); i++) {
    assert_int_equal(got.forced_by[i].at, at[i]);
    assert_int_equal(got.forced_by[i].len, len[i]);
  }
}

static void lists_so_many_and_no_more(void **state) {
  char text[2 * (CLO_FORCED_MAX + 1)];
  struct clo_segments got;
  uint32_t i;
  for (i = 0; i <= CLO_FORCED_MAX; i++) encode(0x400 + i, text + 2 * i);
  clo_segments_count(text, sizeof text - 2, &got);
  assert_int_equal(got.forced_count, CLO_FORCED_MAX);
  clo_segments_count(text, sizeof text, &got);
  assert_int_equal(got.forced_count, CLO_FORCED_MAX);
  assert_int_equal(got.forced_by[CLO_FORCED_MAX - 1].at, sizeof text - 4);
}

static void allocates_nothing(void **state) {
  static const char text[] = "Gr\xC3\xBC\xC3\x9F" EMOJI;
  struct clo_segments got;
  alloc_fail(0);
  clo_segments_count(text, sizeof text - 1, &got);
  assert_int_equal(alloc_count(), 0);
}

/* ---- random texts ---- */

#define TEXTS 20000
#define LONGEST 1400 /* bytes */

static uint64_t random_state = 88172645463325252u; /* xorshift64 */

static size_t below(size_t n) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (size_t)((random_state >> 11) % n);
}

/* The rule once more: a row of units, of which some are second halves. A cut
 * that would come before a second half comes one earlier. */
static size_t cut(const char *second, size_t units, size_t size,
                  size_t *remaining) {
  size_t from = 0, to, segments = 0;
  for (;; from = to, segments++) {
    to = from + size;
    if (to >= units) break;
    if (second[to]) to--;
  }
  *remaining = to - units;
  return segments + 1;
}

static void agrees(const char *text, size_t len) {
  char second[2][2 * LONGEST];
  size_t units[2] = {0, 0}, i, n, width, want, remaining;
  struct clo_segments got;
  uint32_t code;
  int ucs2 = 0;
  if (clo_utf8_check(text, len) < len) {
    assert_int_equal(clo_segments_count(text, len, &got),
                     clo_utf8_check(text, len));
    return;
  }
  for (i = 0; i < len; i += n) {
    n = clo_utf8_read(text + i, len - i, &code);
    width = septets(code);
    if (width == 0) ucs2 = 1;
    for (want = 0; want < width; want++) second[0][units[0]++] = want > 0;
    second[1][units[1]++] = 0;
    if (n == 4) second[1][units[1]++] = 1;
  }
  n = units[ucs2];
  assert_int_equal(clo_segments_count(text, len, &got), len);
  assert_int_equal(got.ucs2, ucs2);
  assert_int_equal(got.units, n);
  if (n <= (ucs2 ? 70 : 160)) {
    want = n > 0;
    remaining = (ucs2 ? 70 : 160) - n;
  } else {
    want = cut(second[ucs2], n, ucs2 ? 67 : 153, &remaining);
  }
  assert_int_equal(got.segments, want);
  assert_int_equal(got.remaining, remaining);
}

static void agree_on_copy(const char *text, size_t len) {
  char *copy = exact(text, len);
  agrees(copy, len);
  free(copy);
}

static void survives_random_bytes(void **state) {
  char text[LONGEST];
  size_t i, k, len;
  for (i = 0; i < TEXTS; i++) {
    len = below(i % 10 == 0 ? LONGEST : 12);
    for (k = 0; k < len; k++)
      text[k] = (char)(i % 3 == 0 ? below(128) : below(256));
    agree_on_copy(text, len);
  }
}

/* Texts that are nearly all of one sort, and so are long in one encoding; now
 * and then with a byte changed. */
static void counts_random_texts(void **state) {
  static const char *const pieces[] = {"x", "^", EURO, "\n", "\xC3\xA9",
                                       "\xCE\xA9", EMOJI, "\xC3\xA7", "\xE4\xB8"
                                       "\xAD", "e\xCC\x81"};
  char text[LONGEST];
  size_t i, len, want, n, sorts;
  const char *piece, *often;
  for (i = 0; i < TEXTS; i++) {
    sorts = below(2) ? COUNT(pieces) : 6; /* 6: in the alphabet */
    often = pieces[below(sorts)];
    want = below(2) ? below(LONGEST - 8) : 140 + below(30);
    for (len = 0; len < want; len += n) {
      piece = below(4) ? often : pieces[below(sorts)];
      n = strlen(piece);
      memcpy(text + len, piece, n);
    }
    if (len > 0 && below(16) == 0) text[below(len)] = (char)below(256);
    agree_on_copy(text, len);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(knows_the_alphabet_and_no_more),
      cmocka_unit_test(counts_at_the_edges),
      cmocka_unit_test(lists_what_forced_it),
      cmocka_unit_test(lists_so_many_and_no_more),
      cmocka_unit_test(allocates_nothing),
      cmocka_unit_test(survives_random_bytes),
      cmocka_unit_test(counts_random_texts),
  };
  return cmocka_run_group_tests_name("clo_segments", tests, NULL, NULL);
}
