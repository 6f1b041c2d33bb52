/* The right word for a wrong one: of a known mistake, or else the nearest by
 * edit distance. */
#include "clo_hint.h"

#include <stdio.h>
#include <string.h>

#include "clo_format.h"

#define QUOTED_MAX 40 /* bytes of a word that are shown */
#define EXACT_MAX 99  /* bytes of an unknown name that stand in `field` */
#define WORD_MAX 40   /* a longer one is no typing error */

/* A right word counts only for a field that has it among its values. "send"
 * must be here: the nearest value is "sent", which sends nothing. */
static const struct clo_alias value_aliases[] = {
    {"outgoing", "outbound"}, {"incoming", "inbound"}, {"send", "outbox"},
    {NULL, NULL},
};

/* ---- quoting ---- */

/* The length of the character at s if it can be shown as it is, else 0. */
static size_t showable(const char *s, size_t rest) {
  uint32_t code = 0;
  size_t n = clo_utf8_read(s, rest, &code);
  return n > 0 && !clo_is_invisible(code) ? n : 0;
}

const char *clo_quote(const char *s, size_t len, char out[CLO_QUOTE_SIZE]) {
  static const char hex[] = "0123456789ABCDEF";
  size_t i = 0, n;
  char *end = out;
  *end++ = '"';
  while (i < len && i < QUOTED_MAX) {
    n = s[i] == '"' || s[i] == '\\' ? 0 : showable(s + i, len - i);
    if (n > 0) {
      memcpy(end, s + i, n);
      end += n;
      i += n;
      continue;
    }
    *end++ = '\\';
    *end++ = 'x';
    *end++ = hex[(unsigned char)s[i] >> 4];
    *end++ = hex[(unsigned char)s[i] & 15];
    i++;
  }
  memcpy(end, i < len ? "...\"" : "\"", i < len ? 5 : 2);
  return out;
}

const char *clo_describe_odd(const char *s, size_t len,
                             char out[CLO_ODD_SIZE]) {
  size_t at = clo_find_odd(s, len);
  uint32_t code = 0;
  out[0] = '\0';
  if (at == len) return out;
  if (clo_utf8_read(s + at, len - at, &code) > 0)
    snprintf(out, CLO_ODD_SIZE, "; it has U+%04X at byte %zu", (unsigned)code,
             at + 1);
  else
    snprintf(out, CLO_ODD_SIZE, "; it has 0x%02X at byte %zu",
             (unsigned)(unsigned char)s[at], at + 1);
  return out;
}

/* ---- the right word ---- */

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int same_word(const char *s, size_t len, const char *word) {
  size_t i;
  for (i = 0; i < len; i++)
    if (word[i] == '\0' || lower(s[i]) != word[i]) return 0;
  return word[len] == '\0';
}

/* What a word stands for, whatever its letters' case, or NULL. */
static const char *find_alias(const struct clo_alias *alias, const char *s,
                              size_t len) {
  for (; alias->wrong; alias++)
    if (same_word(s, len, alias->wrong)) return alias->right;
  return NULL;
}

static size_t least(size_t a, size_t b) { return b < a ? b : a; }

/* The number of single edits from one to the other, without regard to case: to
 * insert, delete or replace a letter, or to swap two neighbours ("optimal
 * string alignment"). len is at most WORD_MAX. */
static size_t edit_distance(const char *s, size_t len, const char *word) {
  size_t rows[3][WORD_MAX + 1], i, j;
  size_t *before = rows[0], *above = rows[1], *row = rows[2], *spare;
  for (i = 0; i <= len; i++) above[i] = i;
  for (j = 1; word[j - 1] != '\0'; j++) {
    row[0] = j;
    for (i = 1; i <= len; i++) {
      char a = lower(s[i - 1]), b = lower(word[j - 1]);
      row[i] = least(above[i - 1] + (a != b), least(above[i], row[i - 1]) + 1);
      if (i > 1 && j > 1 && a == lower(word[j - 2]) && lower(s[i - 2]) == b)
        row[i] = least(row[i], before[i - 2] + 1);
    }
    spare = before;
    before = above;
    above = row;
    row = spare;
  }
  return above[len];
}

/* The nearest of the words offered so far, if it is near enough. */
struct search {
  const char *s;
  size_t len;
  const char *found;
  size_t bound; /* a word nearer than this is taken */
};

/* Near enough: 2 edits or a third of the word, and never all of it. */
static void start(struct search *search, const char *s, size_t len) {
  size_t most = len / 3 > 2 ? len / 3 : 2;
  search->s = s;
  search->len = len;
  search->found = NULL;
  search->bound = most < len ? most + 1 : len;
  if (len > WORD_MAX) search->bound = 0;
}

static void offer(struct search *search, const char *word) {
  size_t distance;
  if (search->bound == 0) return;
  distance = edit_distance(search->s, search->len, word);
  if (distance >= search->bound) return;
  search->bound = distance;
  search->found = word;
}

/* Copies s without what is not printable ASCII and without spaces, as far as a
 * word may be long. Returns the length. */
static size_t copy_plain(const char *s, size_t len, char out[WORD_MAX + 1]) {
  size_t i, n = 0;
  for (i = 0; i < len && n <= WORD_MAX; i++)
    if (s[i] > ' ' && s[i] <= '~') out[n++] = s[i];
  return n;
}

const char *clo_hint_value(const struct clo_field *field, const char *s,
                           size_t len) {
  const struct clo_alias *alias;
  const char *const *value;
  struct search search;
  char plain[WORD_MAX + 1];
  len = copy_plain(s, len, plain);
  s = plain;
  for (alias = value_aliases; alias->wrong; alias++) {
    if (!same_word(s, len, alias->wrong)) continue;
    for (value = field->values; *value; value++)
      if (strcmp(*value, alias->right) == 0) return *value;
  }
  start(&search, s, len);
  for (value = field->values; *value; value++) offer(&search, *value);
  return search.found;
}

const char *clo_hint_nearest(const struct clo_field *fields, size_t count,
                             const char *s, size_t len) {
  struct search search;
  char plain[WORD_MAX + 1];
  size_t i;
  start(&search, plain, copy_plain(s, len, plain));
  for (i = 0; i < count; i++) offer(&search, fields[i].name);
  return search.found;
}

const char *clo_hint_name(const struct clo_alias *aliases,
                          const struct clo_field *fields, size_t count,
                          const char *s, size_t len) {
  const char *right;
  char plain[WORD_MAX + 1];
  len = copy_plain(s, len, plain);
  right = find_alias(aliases, plain, len);
  return right ? right : clo_hint_nearest(fields, count, plain, len);
}

int clo_hint_is_option(const char *name, size_t len) {
  static const char *const options[] = {"timeout", "max_retries", "on_draft"};
  size_t i;
  for (i = 0; i < sizeof options / sizeof options[0]; i++)
    if (strlen(options[i]) == len && memcmp(options[i], name, len) == 0)
      return 1;
  return 0;
}

/* Whether a name can stand as it is in a violation's field. */
static int is_plain(const char *name, size_t len) {
  size_t i, n;
  if (len > EXACT_MAX) return 0;
  for (i = 0; i < len; i += n)
    if ((n = showable(name + i, len - i)) == 0) return 0;
  return 1;
}

const char *clo_show_name(const char *name, size_t len,
                          char out[CLO_QUOTE_SIZE]) {
  if (is_plain(name, len)) {
    memcpy(out, name, len);
    out[len] = '\0';
    return out;
  }
  clo_quote(name, len, out);
  len = strlen(out) - 2;
  memmove(out, out + 1, len);
  out[len] = '\0';
  return out;
}
