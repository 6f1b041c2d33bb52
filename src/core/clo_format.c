/* UTF-8, E.164 and RFC 3339. Pure functions over counted bytes: no locale, no
 * clock, no time.h, no allocation. */
#include "clo_format.h"

#include <string.h>

/* ---- UTF-8 (RFC 3629, section 4) ---- */

static int all_ascii(const unsigned char *eight) {
  uint64_t word;
  memcpy(&word, eight, sizeof word);
  return (word & UINT64_C(0x8080808080808080)) == 0;
}

/* The length of the character at p, or 0 if there is none. */
static size_t utf8_character(const unsigned char *p, size_t rest) {
  unsigned char lead = p[0], low = 0x80, high = 0xBF;
  size_t n, i;
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  n = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (rest < n) return 0;
  if (lead == 0xE0) low = 0xA0;  /* below: overlong */
  if (lead == 0xED) high = 0x9F; /* above: surrogates */
  if (lead == 0xF0) low = 0x90;  /* below: overlong */
  if (lead == 0xF4) high = 0x8F; /* above: past U+10FFFF */
  if (p[1] < low || p[1] > high) return 0;
  for (i = 2; i < n; i++)
    if (p[i] < 0x80 || p[i] > 0xBF) return 0;
  return n;
}

size_t clo_utf8_check(const char *s, size_t len) {
  const unsigned char *p = (const unsigned char *)s;
  size_t i = 0, n;
  while (i < len) {
    if (len - i >= 8 && all_ascii(p + i)) {
      i += 8;
      continue;
    }
    n = utf8_character(p + i, len - i);
    if (n == 0) return i;
    i += n;
  }
  return len;
}

size_t clo_utf8_read(const char *s, size_t len, uint32_t *code) {
  const unsigned char *p = (const unsigned char *)s;
  size_t n = len > 0 ? utf8_character(p, len) : 0, i;
  if (n == 0) return 0;
  *code = n == 1 ? p[0] : p[0] & 0x7Fu >> n; /* the lead's own bits */
  for (i = 1; i < n; i++) *code = *code << 6 | (p[i] & 0x3Fu);
  return n;
}

/* ---- invisible characters ----
 * From the Unicode Character Database: the categories Cc, Cf, Zl, Zp, and Zs
 * but for the space, as far as they come in texts that people copy. */

int clo_is_invisible(uint32_t code) {
  static const struct {
    uint32_t first, last;
  } ranges[] = {
      {0x00, 0x1F},     {0x7F, 0xA0},     {0xAD, 0xAD},     {0x61C, 0x61C},
      {0x1680, 0x1680}, {0x180E, 0x180E}, {0x2000, 0x200F}, {0x2028, 0x202F},
      {0x205F, 0x206F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB},
  };
  size_t i;
  for (i = 0; i < sizeof ranges / sizeof *ranges; i++)
    if (code >= ranges[i].first && code <= ranges[i].last) return 1;
  return 0;
}

size_t clo_find_odd(const char *s, size_t len) {
  size_t i;
  for (i = 0; i < len; i++) {
    if (s[i] < ' ' || s[i] > '~') return i; /* a char may have a sign, or not */
    if (s[i] == ' ' && (i == 0 || i == len - 1)) return i;
  }
  return len;
}

/* ---- E.164 ---- */

static int is_digit(char c) { return c >= '0' && c <= '9'; }

int clo_e164_check(const char *s, size_t len) {
  size_t i;
  if (len < 3 || len > 16 || s[0] != '+' || s[1] == '0') return 0;
  for (i = 1; i < len; i++)
    if (!is_digit(s[i])) return 0;
  return 1;
}

/* The ASCII character that the first one of s looks like, or '?'. */
static char look_alike(const char *s, size_t len, size_t *size) {
  uint32_t code = 0;
  *size = clo_utf8_read(s, len, &code);
  if (*size == 0) {
    *size = 1;
    return '?';
  }
  if (clo_is_invisible(code)) return ' ';
  if (code < 0x80) return (char)code;
  if (code >= 0xFF01 && code <= 0xFF5E) return (char)(code - 0xFEE0);
  if ((code >= 0x2010 && code <= 0x2015) || code == 0x2212 || code == 0xFE63)
    return '-';
  return '?';
}

int clo_e164_hint(const char *s, size_t len, char out[CLO_E164_SIZE]) {
  size_t i, size, n = 0;
  char c, before = '\0';
  for (i = 0; i < len; i += size) {
    c = look_alike(s + i, len - i, &size);
    if (c == ' ') continue;
    /* "+49 (0) 151 ..." means: no 0 from abroad. Whether to leave it out
     * depends on the country, so there is no hint. */
    if (c == '0' && (before == '(' || before == '[')) return 0;
    before = c;
    if (memchr(".()[]-", c, 6)) continue;
    if (n == CLO_E164_SIZE - 1) return 0;
    out[n++] = c;
  }
  out[n] = '\0';
  return clo_e164_check(out, n);
}

/* ---- RFC 3339 ---- */

struct moment {
  int year, month, day, hour, minute, second;
  double fraction; /* of the second */
  int offset;      /* minutes east of UTC */
};

/* The day's last minute, counted from its first. */
#define LAST_MINUTE (23 * 60 + 59)

static int days_in_month(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return days[month - 1] + (month == 2 && leap);
}

static int two_digits(const char *s) {
  return (s[0] - '0') * 10 + (s[1] - '0');
}

/* Whether s has the shape: '0' stands for any digit, 'T' for either case. */
static int has_shape(const char *s, size_t len, const char *shape) {
  size_t i;
  for (i = 0; shape[i] != '\0'; i++) {
    if (i == len) return 0;
    if (shape[i] == '0' && is_digit(s[i])) continue;
    if (shape[i] == 'T' && s[i] == 't') continue;
    if (shape[i] == '0' || shape[i] != s[i]) return 0;
  }
  return 1;
}

/* What keeps s from starting with a date and a time. */
static const char *misshapen(const char *s, size_t len) {
  if (len == 0) return "it is empty";
  if (!has_shape(s, len, "0000-00-00"))
    return "it is not written like 2026-11-23T08:00:00Z";
  if (len == 10) return "it has no time of day";
  if (s[10] == ' ') return "it has a space in place of the T";
  return "its time is not written like 2026-11-23T08:00:00Z";
}

static const char *check_ranges(const struct moment *m) {
  if (m->month < 1 || m->month > 12) return "its month is not 01 to 12";
  if (m->day < 1 || m->day > days_in_month(m->year, m->month))
    return "its month has no such day";
  if (m->hour > 23) return "its hour is not 00 to 23";
  if (m->minute > 59) return "its minute is not 00 to 59";
  if (m->second > 60) return "its second is not 00 to 59";
  return NULL;
}

/* Reads "Z" or "+01:00", which must be all of s. */
static const char *read_offset(const char *s, size_t len, struct moment *m) {
  int hours, minutes;
  if (len == 0) return "it has no offset: end it with Z or one like +01:00";
  m->offset = 0;
  if (s[0] == 'Z' || s[0] == 'z')
    return len == 1 ? NULL : "something follows its Z";
  if (!has_shape(s, len, s[0] == '-' ? "-00:00" : "+00:00"))
    return "its offset is not Z and not written like +01:00";
  if (len > 6) return "something follows its offset";
  hours = two_digits(s + 1);
  minutes = two_digits(s + 4);
  if (hours > 23 || minutes > 59) return "its offset is more than 23:59";
  m->offset = (hours * 60 + minutes) * (s[0] == '-' ? -1 : 1);
  return NULL;
}

/* RFC 3339, 5.7 and appendix D: a leap second ends a month, in UTC. The local
 * day is then the month's last, or in the east already the next one's first.
 * In the west it cannot be the day before: offsets end at -23:59. */
static int may_leap(const struct moment *m) {
  int utc_minute = m->hour * 60 + m->minute - m->offset;
  if (utc_minute == LAST_MINUTE)
    return m->day == days_in_month(m->year, m->month);
  return utc_minute == -1 && m->day == 1;
}

static const char *read_moment(const char *s, size_t len, struct moment *m) {
  const char *wrong;
  double unit = 1;
  size_t i = 19;
  if (!has_shape(s, len, "0000-00-00T00:00:00")) return misshapen(s, len);
  m->year = two_digits(s) * 100 + two_digits(s + 2);
  m->month = two_digits(s + 5);
  m->day = two_digits(s + 8);
  m->hour = two_digits(s + 11);
  m->minute = two_digits(s + 14);
  m->second = two_digits(s + 17);
  m->fraction = 0;
  if ((wrong = check_ranges(m))) return wrong;
  if (i < len && s[i] == '.') {
    i++;
    if (i == len || !is_digit(s[i])) return "no digit follows its point";
    for (; i < len && is_digit(s[i]); i++)
      m->fraction += (s[i] - '0') * (unit /= 10);
  }
  if ((wrong = read_offset(s + i, len - i, m))) return wrong;
  if (m->second == 60 && !may_leap(m))
    return "a leap second, 23:59:60 in UTC, only ends a month's last day";
  return NULL;
}

const char *clo_rfc3339_check(const char *s, size_t len) {
  struct moment m;
  return read_moment(s, len, &m);
}

/* ---- an instant as RFC 3339 ---- */

#define DAY INT64_C(86400)
#define YEAR_0 INT64_C(-62167219200)    /* 0000-01-01T00:00:00Z */
#define YEAR_10000 INT64_C(253402300800)

int clo_rfc3339_read(const char *s, size_t len, double *seconds) {
  struct moment m;
  int shifted, year, month, days;
  if (read_moment(s, len, &m)) return 0;
  /* Counted from March, as in set_date(). */
  year = m.month <= 2 ? m.year - 1 : m.year;
  month = m.month <= 2 ? m.month + 9 : m.month - 3;
  shifted = year + 400;
  days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 +
         (153 * month + 2) / 5 + m.day - 1 - 146097 + 60;
  *seconds = (double)(days * DAY + YEAR_0) + (m.hour * 60 + m.minute -
             m.offset) * 60.0 + m.second + m.fraction;
  return 1;
}

static char *put(char *out, int value, int width) {
  int i;
  for (i = width - 1; i >= 0; i--, value /= 10)
    out[i] = (char)('0' + value % 10);
  return out + width;
}

/* Days since 0000-01-01 to a date. Years are counted from March, so that the
 * leap day is a year's last, and in cycles of 400, which are all of one length;
 * months from March have lengths that 153 days in 5 of them describe. */
static void set_date(struct moment *m, int days) {
  int shifted = days - 60 + 146097; /* since -400-03-01 */
  int cycle = shifted / 146097, day = shifted % 146097;
  int year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
  int month;
  day -= 365 * year + year / 4 - year / 100;
  month = (5 * day + 2) / 153;
  m->day = day - (153 * month + 2) / 5 + 1;
  m->month = month < 10 ? month + 3 : month - 9;
  m->year = year + 400 * (cycle - 1) + (m->month <= 2);
}

size_t clo_rfc3339_write(double seconds, char out[CLO_RFC3339_SIZE]) {
  struct moment m;
  int64_t whole;
  int ms;
  char *end;
  /* Written so that NaN fails; makes the cast below defined. */
  if (!(seconds > -1e12 && seconds < 1e12)) return 0;
  whole = (int64_t)seconds;
  if ((double)whole > seconds) whole--; /* the cast cut towards 0 */
  ms = (int)((seconds - (double)whole) * 1000 + 0.5);
  whole += ms / 1000;
  ms %= 1000;
  if (whole < YEAR_0 || whole >= YEAR_10000) return 0;
  set_date(&m, (int)((whole - YEAR_0) / DAY));
  m.second = (int)((whole - YEAR_0) % DAY);
  end = put(out, m.year, 4);
  *end++ = '-';
  end = put(end, m.month, 2);
  *end++ = '-';
  end = put(end, m.day, 2);
  *end++ = 'T';
  end = put(end, m.second / 3600, 2);
  *end++ = ':';
  end = put(end, m.second / 60 % 60, 2);
  *end++ = ':';
  end = put(end, m.second % 60, 2);
  if (ms > 0) {
    *end++ = '.';
    end = put(end, ms, 3);
  }
  *end++ = 'Z';
  *end = '\0';
  return (size_t)(end - out);
}
