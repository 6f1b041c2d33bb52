/* clo_format: each bad input is named, with the place or the clause that it
 * must be refused with. */
#include "alloc.h"
#include "clo_format.h"
#include "test.h"

#define BYTES(literal) literal, sizeof literal - 1

/* ---- UTF-8 ---- */

static size_t utf8_check(const char *s, size_t len) {
  char *copy = exact(s, len);
  size_t offset = clo_utf8_check(copy, len);
  free(copy);
  return offset;
}

static const struct {
  const char *name;
  const char *bytes;
  size_t len;
} good_utf8[] = {
    {"nothing", BYTES("")},
    {"NUL", BYTES("a\0b")},
    {"U+007F", BYTES("\x7F")},
    {"U+0080", BYTES("\xC2\x80")},
    {"U+07FF", BYTES("\xDF\xBF")},
    {"U+0800", BYTES("\xE0\xA0\x80")},
    {"U+CFFF", BYTES("\xEC\xBF\xBF")},
    {"U+D7FF, before the surrogates", BYTES("\xED\x9F\xBF")},
    {"U+E000, after the surrogates", BYTES("\xEE\x80\x80")},
    {"U+FFFE, a noncharacter", BYTES("\xEF\xBF\xBE")},
    {"U+FFFF", BYTES("\xEF\xBF\xBF")},
    {"U+10000", BYTES("\xF0\x90\x80\x80")},
    {"U+10FFFF", BYTES("\xF4\x8F\xBF\xBF")},
    {"a mix", BYTES("Gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80!")},
};

static const struct {
  const char *name;
  const char *bytes;
  size_t len;
} bad_utf8[] = {
    {"a continuation byte alone", BYTES("\x80")},
    {"the last continuation byte alone", BYTES("\xBF")},
    {"overlong NUL", BYTES("\xC0\x80")},
    {"overlong slash", BYTES("\xC0\xAF")},
    {"overlong U+007F", BYTES("\xC1\xBF")},
    {"overlong U+07FF in three", BYTES("\xE0\x9F\xBF")},
    {"overlong NUL in three", BYTES("\xE0\x80\x80")},
    {"overlong U+FFFF in four", BYTES("\xF0\x8F\xBF\xBF")},
    {"overlong NUL in four", BYTES("\xF0\x80\x80\x80")},
    {"U+D800", BYTES("\xED\xA0\x80")},
    {"U+DBFF", BYTES("\xED\xAF\xBF")},
    {"U+DFFF", BYTES("\xED\xBF\xBF")},
    {"a surrogate pair (CESU-8)", BYTES("\xED\xA0\xBD\xED\xB8\x80")},
    {"U+110000", BYTES("\xF4\x90\x80\x80")},
    {"U+140000", BYTES("\xF5\x80\x80\x80")},
    {"five bytes", BYTES("\xF8\x88\x80\x80\x80")},
    {"six bytes", BYTES("\xFC\x84\x80\x80\x80\x80")},
    {"0xFE", BYTES("\xFE")},
    {"0xFF", BYTES("\xFF")},
    {"two bytes, one missing", BYTES("\xC3")},
    {"three bytes, two missing", BYTES("\xE2")},
    {"three bytes, one missing", BYTES("\xE2\x82")},
    {"four bytes, three missing", BYTES("\xF0")},
    {"four bytes, two missing", BYTES("\xF0\x9F")},
    {"four bytes, one missing", BYTES("\xF0\x9F\x98")},
    {"two bytes, then ASCII", BYTES("\xC3(")},
    {"three bytes, the second ASCII", BYTES("\xE2(\xA1")},
    {"three bytes, the third ASCII", BYTES("\xE2\x82(")},
    {"three bytes, the third a lead", BYTES("\xE2\x82\xC3")},
    {"four bytes, the second ASCII", BYTES("\xF0(\x8C\xBC")},
    {"four bytes, the third ASCII", BYTES("\xF0\x90(\xBC")},
    {"four bytes, the fourth ASCII", BYTES("\xF0\x9F\x98(")},
    {"Latin-1", BYTES("\xE9t\xE9")},
};

/* Puts before, then the bytes, then after together and checks them. */
static size_t utf8_within(const char *before, const char *bytes, size_t len,
                          const char *after) {
  size_t before_len = strlen(before), after_len = strlen(after);
  char whole[128];
  assert_true(before_len + len + after_len <= sizeof whole);
  memcpy(whole, before, before_len);
  memcpy(whole + before_len, bytes, len);
  memcpy(whole + before_len + len, after, after_len);
  return utf8_check(whole, before_len + len + after_len);
}

static const char *const paddings[] = {"", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                       "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9",
                                       "a\xE2\x82\xACxyz\xF0\x9F\x98\x80"};

static void takes_utf8_at_every_offset(void **state) {
  size_t i, p, skip;
  for (i = 0; i < COUNT(good_utf8); i++)
    for (p = 0; p < COUNT(paddings); p++)
      for (skip = 0; skip <= strlen(paddings[p]); skip++) {
        const char *before = paddings[p] + skip;
        size_t len = strlen(before) + good_utf8[i].len + 5;
        if (clo_utf8_check(before, strlen(before)) != strlen(before)) continue;
        if (utf8_within(before, good_utf8[i].bytes, good_utf8[i].len,
                        "after") != len)
          fail_msg("%s, at %zu", good_utf8[i].name, strlen(before));
      }
}

static void finds_the_first_byte_that_breaks_utf8(void **state) {
  static const char *const afters[] = {"", "z", "zzzzzzzzzzzzzzzz"};
  size_t i, p, a, skip, found;
  for (i = 0; i < COUNT(bad_utf8); i++)
    for (p = 0; p < COUNT(paddings); p++)
      for (skip = 0; skip <= strlen(paddings[p]); skip++)
        for (a = 0; a < COUNT(afters); a++) {
          const char *before = paddings[p] + skip;
          if (clo_utf8_check(before, strlen(before)) != strlen(before))
            continue;
          found = utf8_within(before, bad_utf8[i].bytes, bad_utf8[i].len,
                              afters[a]);
          if (found != strlen(before))
            fail_msg("%s, at %zu: found at %zu", bad_utf8[i].name,
                     strlen(before), found);
        }
}

static void reads_no_character_that_is_not_there(void **state) {
  uint32_t code = 7;
  char *copy;
  size_t i;
  for (i = 0; i < COUNT(bad_utf8); i++) {
    row("%s", bad_utf8[i].name);
    copy = exact(bad_utf8[i].bytes, bad_utf8[i].len);
    assert_int_equal(clo_utf8_read(copy, bad_utf8[i].len, &code), 0);
    assert_int_equal(clo_utf8_read(copy, 0, &code), 0);
    free(copy);
  }
  assert_int_equal(code, 7);
}

/* The definition of RFC 3629, the other way round: the bytes of a character. */
static size_t encode(uint32_t code, unsigned char out[4]) {
  size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4, i;
  static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (i = n - 1; i > 0; i--, code >>= 6)
    out[i] = (unsigned char)(0x80 | (code & 0x3F));
  out[0] = (unsigned char)(lead[n] | code);
  return n;
}

static void takes_each_character_but_surrogates(void **state) {
  unsigned char bytes[4];
  uint32_t code, read;
  size_t len, want;
  for (code = 0; code < 0x200000; code++) {
    len = encode(code, bytes);
    want = (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF ? 0 : len;
    if (clo_utf8_check((const char *)bytes, len) != want)
      fail_msg("U+%04X", (unsigned)code);
    read = code + 1;
    if (clo_utf8_read((const char *)bytes, len, &read) != want ||
        read != code + (want == 0))
      fail_msg("U+%04X is read as U+%04X", (unsigned)code, (unsigned)read);
  }
}

/* All that is not the encoding of some character is refused: counted, for one
 * to three bytes, as there are as many good ones as characters. */
static void takes_nothing_but_characters(void **state) {
  unsigned char b[3];
  uint32_t i, found[4] = {0, 0, 0, 0};
  for (i = 0x800000; i < 0x1000000; i++) { /* no ASCII at the start */
    b[0] = (unsigned char)(i >> 16);
    b[1] = (unsigned char)(i >> 8);
    b[2] = (unsigned char)i;
    if (i % 0x10000 == 0)
      found[1] += clo_utf8_check((const char *)b, 1) == 1;
    if (i % 0x100 == 0) found[2] += clo_utf8_check((const char *)b, 2) == 2;
    found[3] += clo_utf8_check((const char *)b, 3) == 3;
  }
  assert_int_equal(found[1], 0); /* no byte above 0x7F by itself */
  assert_int_equal(found[2], 0x800 - 0x80);
  assert_int_equal(found[3], 0x10000 - 0x800 - 0x800 /* surrogates */
                                 + (0x800 - 0x80) * 0x80 /* two and ASCII */);
}

/* ---- E.164 ---- */

static const struct {
  const char *s;
  size_t len;
  int good;
} phones[] = {
    {BYTES("+14154445555"), 1},
    {BYTES("+49151"), 1},
    {BYTES("+12"), 1},
    {BYTES("+99"), 1},
    {BYTES("+123456789012345"), 1}, /* 15 digits */
    {BYTES("+1234567890123456"), 0},
    {BYTES("+1"), 0},
    {BYTES("+"), 0},
    {BYTES(""), 0},
    {BYTES("+04154445555"), 0},
    {BYTES("14154445555"), 0},
    {BYTES("004914154445"), 0},
    {BYTES("++4154445555"), 0},
    {BYTES("+1 4154445555"), 0},
    {BYTES(" +14154445555"), 0},
    {BYTES("+14154445555 "), 0},
    {BYTES("+14154445555\n"), 0},
    {BYTES("+14154445555\0"), 0},
    {BYTES("+1415444555a"), 0},
    {BYTES("+1415444555/"), 0}, /* before '0' */
    {BYTES("+1415444555:"), 0}, /* after '9' */
    {BYTES("+:154445555"), 0},
    {BYTES("+1415\xD9\xA3"), 0}, /* an Arabic digit */
    {BYTES("phon_Abc"), 0},
    {BYTES("+1-415-444-5555"), 0},
};

static void tells_e164_from_the_rest(void **state) {
  size_t i;
  char *copy;
  for (i = 0; i < COUNT(phones); i++) {
    copy = exact(phones[i].s, phones[i].len);
    row("%s", phones[i].s);
    assert_int_equal(clo_e164_check(copy, phones[i].len), phones[i].good);
    free(copy);
  }
}

static const struct {
  const char *s;
  size_t len;
  const char *hint; /* NULL: none */
} hints[] = {
    {BYTES("+1 415 444 5555"), "+14154445555"},
    {BYTES("+1 (415) 444-5555"), "+14154445555"},
    {BYTES("+1 [415] 444.5555"), "+14154445555"},
    {BYTES("  +1.415.444.5555  "), "+14154445555"},
    {BYTES("(+1)415-444-5555"), "+14154445555"},
    {BYTES("+1-2-3-4-5-6-7-8-9-0-1-2-3-4-5"), "+123456789012345"},
    {BYTES("+1-2-3-4-5-6-7-8-9-0-1-2-3-4-5-6"), NULL},
    {BYTES("(415) 444-5555"), NULL},
    {BYTES("1 415 444 5555"), NULL},
    {BYTES("+49 (0) 151 2345678"), NULL}, /* where the 0 goes: who knows */
    {BYTES("+49 [0]151 2345678"), NULL},
    {BYTES("+49 ( 0) 151 2345678"), NULL},
    {BYTES("+49 (\xE2\x80\x8B" "0) 151 2345678"), NULL},
    {BYTES("+1 415 444 5555 x12"), NULL},
    {BYTES("+1/415/444"), NULL},
    {BYTES("+1\n415\n444"), "+1415444"},
    {BYTES("+1\0" "415\0" "444"), "+1415444"},
    {BYTES("+14154445555\r\n\t"), "+14154445555"},
    {BYTES("\xE2\x80\xAA+14154445555\xE2\x80\xAC"), "+14154445555"},
    {BYTES("\xE2\x81\xA6+1415444\xE2\x81\xA9"), "+1415444"},
    {BYTES("\xEF\xBB\xBF+1415\xC2\xAD" "444\xE2\x80\x8B"), "+1415444"},
    {BYTES("+1\xC2\xA0" "415\xE3\x80\x80" "444\xE2\x80\xA8"), "+1415444"},
    {BYTES("+1\xE2\x80\x91" "415\xE2\x80\x95" "444\xE2\x88\x92" "5"),
     "+14154445"},
    {BYTES("\xEF\xBC\x8B\xEF\xBC\x91\xEF\xBC\x94\xEF\xBC\x91"), "+141"},
    {BYTES("+49 \xEF\xBC\x88\xEF\xBC\x90\xEF\xBC\x89 151"), NULL},
    {BYTES("+1415\xD9\xA3"), NULL}, /* an Arabic digit */
    {BYTES("+1415\xFF"), NULL},
    {BYTES("+1415\xE2\x80"), NULL},
    {BYTES("+0 415 444 5555"), NULL},
    {BYTES("+ 1"), NULL},
    {BYTES("+ 1 2"), "+12"},
    {BYTES("((([[[]]])))..--  "), NULL},
    {BYTES(""), NULL},
};

static void hints_at_the_number_behind_the_dashes(void **state) {
  char out[CLO_E164_SIZE], *copy;
  size_t i;
  int got;
  for (i = 0; i < COUNT(hints); i++) {
    copy = exact(hints[i].s, hints[i].len);
    got = clo_e164_hint(copy, hints[i].len, out);
    row("%s", hints[i].s);
    assert_int_equal(got, hints[i].hint != NULL);
    if (got) assert_string_equal(out, hints[i].hint);
    free(copy);
  }
}

/* ---- RFC 3339 ---- */

static const char *const good_dates[] = {
    "1985-04-12T23:20:50.52Z", /* the five of RFC 3339, 5.8 */
    "1996-12-19T16:39:57-08:00",
    "1990-12-31T23:59:60Z",
    "1990-12-31T15:59:60-08:00",
    "1937-01-01T12:00:27.87+00:20",
    "2026-11-23T08:00:00Z",
    "2026-11-23t08:00:00z",
    "2026-11-23T08:00:00.1Z",
    "2026-11-23T08:00:00.123456789012345678901234567890Z",
    "2019-02-05T13:18:43.186000+00:00",
    "2026-11-23T00:00:00-00:00",
    "2026-11-23T23:59:59+23:59",
    "2026-11-23T23:59:59-23:59",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "0000-02-29T00:00:00Z",
    "2024-02-29T00:00:00Z",
    "2000-02-29T00:00:00Z",
    "2016-12-31T23:59:60.5Z",
    "2015-06-30T23:59:60Z",
    "2024-02-29T23:59:60Z", /* any month's end */
    "2023-02-28T23:59:60Z",
    "2017-01-01T00:59:60+01:00", /* in the east it is the next month */
    "2017-01-01T08:59:60+09:00",
    "2017-01-01T23:58:60+23:59",
    "2015-07-01T05:29:60+05:30",
    "2024-03-01T00:00:60+00:01",
    "2016-12-31T00:00:60-23:59",
    "1990-12-31T20:29:60-03:30",
};

#define UNLIKE "not written like 2026-11-23T08:00:00Z"
#define LEAP "a leap second"
#define NO_DAY "no such day"

static const struct {
  const char *s;
  size_t len;
  const char *clause; /* a part of it */
} bad_dates[] = {
    {BYTES(""), "empty"},
    {BYTES("tomorrow"), UNLIKE},
    {BYTES("1700000000"), UNLIKE},
    {BYTES("23.11.2026"), UNLIKE},
    {BYTES("2026-1-23T08:00:00Z"), UNLIKE},
    {BYTES("26-11-23T08:00:00Z"), UNLIKE},
    {BYTES("2026/11/23T08:00:00Z"), UNLIKE},
    {BYTES("20261123T080000Z"), UNLIKE},
    {BYTES("+2026-11-23T08:00:00Z"), UNLIKE},
    {BYTES("-026-11-23T08:00:00Z"), UNLIKE},
    {BYTES("12026-11-23T08:00:00Z"), UNLIKE},
    {BYTES(" 2026-11-23T08:00:00Z"), UNLIKE},
    {BYTES("2026-11-2"), UNLIKE},
    {BYTES("2026-11-2:T08:00:00Z"), UNLIKE}, /* ':' follows '9' */
    {BYTES("2026-11-23"), "no time of day"},
    {BYTES("2026-11-23 08:00:00Z"), "space in place of the T"},
    {BYTES("2026-11-23_08:00:00Z"), "time is " UNLIKE},
    {BYTES("2026-11-23T"), "time is " UNLIKE},
    {BYTES("2026-11-23T08:00Z"), "time is " UNLIKE},
    {BYTES("2026-11-23T08:00"), "time is " UNLIKE},
    {BYTES("2026-11-23T08:00:0"), "time is " UNLIKE},
    {BYTES("2026-11-23T8:00:00Z"), "time is " UNLIKE},
    {BYTES("2026-11-23T08.00.00Z"), "time is " UNLIKE},
    {BYTES("2026-11-23T08:00:00"), "no offset"},
    {BYTES("2026-11-23T08:00:00.25"), "no offset"},
    {BYTES("2026-11-23T08:00:00,25Z"), "its offset is not Z"},
    {BYTES("2026-11-23T08:00:00.Z"), "no digit follows"},
    {BYTES("2026-11-23T08:00:00."), "no digit follows"},
    {BYTES("2026-11-23T08:00:00.+01:00"), "no digit follows"},
    {BYTES("2026-11-23T08:00:00 Z"), "its offset is not Z"},
    {BYTES("2026-11-23T08:00:00UTC"), "its offset is not Z"},
    {BYTES("2026-11-23T08:00:00+0100"), "its offset is not Z"},
    {BYTES("2026-11-23T08:00:00+01"), "its offset is not Z"},
    {BYTES("2026-11-23T08:00:00+1:00"), "its offset is not Z"},
    {BYTES("2026-11-23T08:00:00+01:0"), "its offset is not Z"},
    {BYTES("2026-11-23T08:00:00+01-00"), "its offset is not Z"},
    {BYTES("2026-11-23T08:00:00\xE2\x88\x92" "01:00"), "its offset is not Z"},
    {BYTES("2026-11-23T08:00:00+24:00"), "more than 23:59"},
    {BYTES("2026-11-23T08:00:00-24:00"), "more than 23:59"},
    {BYTES("2026-11-23T08:00:00+01:60"), "more than 23:59"},
    {BYTES("2026-11-23T08:00:00ZZ"), "follows its Z"},
    {BYTES("2026-11-23T08:00:00Z\n"), "follows its Z"},
    {BYTES("2026-11-23T08:00:00Z\0"), "follows its Z"},
    {BYTES("2026-11-23T08:00:00+01:00Z"), "follows its offset"},
    {BYTES("2026-11-23T08:00:00+01:00 "), "follows its offset"},
    {BYTES("2026-11-23T08:00:00+01:00:00"), "follows its offset"},
    {BYTES("2026-00-23T08:00:00Z"), "month is not"},
    {BYTES("2026-13-23T08:00:00Z"), "month is not"},
    {BYTES("2026-11-00T08:00:00Z"), NO_DAY},
    {BYTES("2026-11-31T08:00:00Z"), NO_DAY},
    {BYTES("2023-02-29T08:00:00Z"), NO_DAY},
    {BYTES("1900-02-29T08:00:00Z"), NO_DAY},
    {BYTES("2100-02-29T08:00:00Z"), NO_DAY},
    {BYTES("2024-02-30T08:00:00Z"), NO_DAY},
    {BYTES("2026-11-23T24:00:00Z"), "hour is not"},
    {BYTES("2026-11-23T99:00:00Z"), "hour is not"},
    {BYTES("2026-11-23T08:60:00Z"), "minute is not"},
    {BYTES("2026-11-23T08:00:61Z"), "second is not"},
    {BYTES("2026-12-31T23:59:61Z"), "second is not"},
    {BYTES("2026-12-31T23:58:60Z"), LEAP},
    {BYTES("2026-12-31T22:59:60Z"), LEAP},
    {BYTES("2026-12-31T00:00:60Z"), LEAP},
    {BYTES("2026-12-30T23:59:60Z"), LEAP},
    {BYTES("2024-02-28T23:59:60Z"), LEAP},
    {BYTES("1990-12-31T23:59:60-08:00"), LEAP},
    {BYTES("1990-12-31T23:59:60+08:00"), LEAP},
    {BYTES("1990-12-30T15:59:60-08:00"), LEAP},
    {BYTES("2016-12-31T08:59:60+09:00"), LEAP},
    {BYTES("2017-01-02T08:59:60+09:00"), LEAP},
    {BYTES("2017-01-01T08:58:60+09:00"), LEAP},
    {BYTES("2016-12-31T15:59:60+08:00"), LEAP},
    {BYTES("2017-01-01T15:59:60-08:00"), LEAP},
};

static const char *date_check(const char *s, size_t len) {
  char *copy = exact(s, len);
  const char *clause = clo_rfc3339_check(copy, len);
  free(copy);
  return clause;
}

static void takes_rfc3339(void **state) {
  const char *clause;
  size_t i;
  for (i = 0; i < COUNT(good_dates); i++) {
    clause = date_check(good_dates[i], strlen(good_dates[i]));
    if (clause != NULL) fail_msg("%s: %s", good_dates[i], clause);
  }
}

static void says_what_is_wrong_with_a_date(void **state) {
  const char *clause;
  size_t i;
  for (i = 0; i < COUNT(bad_dates); i++) {
    clause = date_check(bad_dates[i].s, bad_dates[i].len);
    if (clause == NULL || strstr(clause, bad_dates[i].clause) == NULL)
      fail_msg("%s: %s", bad_dates[i].s, clause ? clause : "taken");
  }
}

static void refuses_each_part_of_a_date(void **state) {
  size_t i, len;
  for (i = 0; i < COUNT(good_dates); i++)
    for (len = 0; len < strlen(good_dates[i]); len++) {
      row("%.*s", (int)len, good_dates[i]);
      assert_non_null(date_check(good_dates[i], len));
    }
}

static const struct {
  const char *year;
  int days[13];
} calendar[] = {
    {"1900", {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}},
    {"2000", {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}},
    {"2023", {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}},
    {"2024", {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}},
};

static void knows_the_days_of_each_month(void **state) {
  size_t i;
  int month, day, good;
  char date[] = "yyyy-mm-ddT12:00:00Z";
  for (i = 0; i < COUNT(calendar); i++)
    for (month = 0; month < 100; month++)
      for (day = 0; day < 100; day++) {
        memcpy(date, calendar[i].year, 4);
        date[5] = (char)('0' + month / 10);
        date[6] = (char)('0' + month % 10);
        date[8] = (char)('0' + day / 10);
        date[9] = (char)('0' + day % 10);
        good = month >= 1 && month <= 12 && day >= 1 &&
               day <= calendar[i].days[month];
        if ((date_check(date, sizeof date - 1) == NULL) != good)
          fail_msg("%s", date);
      }
}

static const struct {
  double seconds;
  const char *written; /* "" : refused */
} instants[] = {
    {0.0, "1970-01-01T00:00:00Z"},
    {1.0, "1970-01-01T00:00:01Z"},
    {-1.0, "1969-12-31T23:59:59Z"},
    {951782400.0, "2000-02-29T00:00:00Z"},
    {951868799.0, "2000-02-29T23:59:59Z"},
    {951868800.0, "2000-03-01T00:00:00Z"},
    {-2203891200.0, "1900-03-01T00:00:00Z"},
    {-2203891201.0, "1900-02-28T23:59:59Z"},
    {1795420800.0, "2026-11-23T08:00:00Z"},
    {2147483648.0, "2038-01-19T03:14:08Z"},
    {1795420800.25, "2026-11-23T08:00:00.250Z"},
    {1795420800.001, "2026-11-23T08:00:00.001Z"},
    {1795420800.0004, "2026-11-23T08:00:00Z"},
    {1795420800.9994, "2026-11-23T08:00:00.999Z"},
    {1795420800.9996, "2026-11-23T08:00:01Z"},
    {-0.25, "1969-12-31T23:59:59.750Z"},
    {-0.0004, "1970-01-01T00:00:00Z"},
    {-1.5, "1969-12-31T23:59:58.500Z"},
    {-1e-300, "1970-01-01T00:00:00Z"},
    {86399.9999, "1970-01-02T00:00:00Z"}, /* carries into the day */
    {1798761599.9999, "2027-01-01T00:00:00Z"}, /* and into the year */
    {-62167219200.0, "0000-01-01T00:00:00Z"},
    {-62167219201.0, ""},
    {-62167219200.001, ""},
    {-62162121600.0, "0000-02-29T00:00:00Z"},
    {-62162035200.0, "0000-03-01T00:00:00Z"},
    {253402300799.0, "9999-12-31T23:59:59Z"},
    {253402300799.999, "9999-12-31T23:59:59.999Z"},
    {253402300799.9999, ""}, /* rounds into the year 10000 */
    {253402300800.0, ""},
    {1.8e12, ""}, /* milliseconds */
    {1e300, ""},
    {-1e300, ""},
};

static void writes_an_instant_in_utc(void **state) {
  char out[CLO_RFC3339_SIZE];
  size_t i, len;
  for (i = 0; i < COUNT(instants); i++) {
    row("%g s", instants[i].seconds);
    len = clo_rfc3339_write(instants[i].seconds, out);
    if (len == 0) out[0] = '\0';
    assert_string_equal(out, instants[i].written);
    assert_int_equal(len, strlen(instants[i].written));
  }
}

static void writes_no_number_that_is_not_finite(void **state) {
  static const double zero = 0.0;
  char out[CLO_RFC3339_SIZE];
  double infinity = 1e300 * 1e300;
  assert_int_equal(clo_rfc3339_write(infinity - infinity, out), 0);
  assert_int_equal(clo_rfc3339_write(infinity, out), 0);
  assert_int_equal(clo_rfc3339_write(-infinity, out), 0);
  assert_int_equal(clo_rfc3339_write(-zero, out), 20);
}

/* Walks through all days of ten thousand years with a calendar of its own. */
static void reads_an_instant(void **state) {
  static const struct {
    const char *date;
    double seconds;
  } dates[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"2019-02-05T13:18:43.186000+00:00", 1549372723.186},
      {"2019-02-05T14:18:43.5+01:00", 1549372723.5},
      {"2019-02-05T07:48:43-05:30", 1549372723},
      {"2016-12-31T23:59:60Z", 1483228800},
      {"1969-12-31T23:59:59.75Z", -0.25},
  };
  double seconds;
  size_t i;
  for (i = 0; i < COUNT(dates); i++) {
    row("%s", dates[i].date);
    assert_true(clo_rfc3339_read(dates[i].date, strlen(dates[i].date),
                                 &seconds));
    if (seconds - dates[i].seconds > 1e-6 || seconds - dates[i].seconds < -1e-6)
      fail_msg("%f", seconds);
  }
  assert_false(clo_rfc3339_read("2019-02-05", 10, &seconds));
  assert_false(clo_rfc3339_read("2019-02-30T00:00:00Z", 20, &seconds));
}

static void writes_and_reads_each_day_there_is(void **state) {
  double read;
  char out[CLO_RFC3339_SIZE], want[] = "yyyy-mm-ddT12:34:56Z";
  double noon = -62167219200.0 + 45296;
  int year, month, day, i, days, value;
  for (year = 0; year < 10000; year++)
    for (month = 1; month <= 12; month++) {
      days = calendar[2].days[month];
      if (month == 2)
        days += year % 400 == 0 || (year % 100 != 0 && year % 4 == 0);
      for (day = 1; day <= days; day++, noon += 86400) {
        for (i = 3, value = year; i >= 0; i--, value /= 10)
          want[i] = (char)('0' + value % 10);
        want[5] = (char)('0' + month / 10);
        want[6] = (char)('0' + month % 10);
        want[8] = (char)('0' + day / 10);
        want[9] = (char)('0' + day % 10);
        if (clo_rfc3339_write(noon, out) != 20 || strcmp(out, want) != 0)
          fail_msg("%s, not %s", out, want);
        if (!clo_rfc3339_read(want, 20, &read) || read != noon)
          fail_msg("%s is %f, not %f", want, read, noon);
      }
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_utf8_at_every_offset),
      cmocka_unit_test(finds_the_first_byte_that_breaks_utf8),
      cmocka_unit_test(reads_no_character_that_is_not_there),
      cmocka_unit_test(takes_each_character_but_surrogates),
      cmocka_unit_test(takes_nothing_but_characters),
      cmocka_unit_test(tells_e164_from_the_rest),
      cmocka_unit_test(hints_at_the_number_behind_the_dashes),
      cmocka_unit_test(takes_rfc3339),
      cmocka_unit_test(says_what_is_wrong_with_a_date),
      cmocka_unit_test(refuses_each_part_of_a_date),
      cmocka_unit_test(knows_the_days_of_each_month),
      cmocka_unit_test(writes_an_instant_in_utc),
      cmocka_unit_test(writes_no_number_that_is_not_finite),
      cmocka_unit_test(reads_an_instant),
      cmocka_unit_test(writes_and_reads_each_day_there_is),
  };
  return cmocka_run_group_tests_name("clo_format", tests, NULL, NULL);
}
