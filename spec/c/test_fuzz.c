/* Random strings and random SMS, always the same ones: no crash under the
 * sanitizers, only messages fit for a log, and the same verdict as a second,
 * plain implementation of the rules. */
#include "clo_format.h"
#include "clo_unknown.h"
#include "expect.h"
#include "test.h"

#define STRINGS 20000
#define SMS 20000
#define LONGEST 160

static uint64_t random_state = 88172645463325252u; /* xorshift64 */

static size_t below(size_t n) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (size_t)((random_state >> 11) % n);
}

static const char *const seeds[] = {
    "outbox", "scheduled", "draft", "inbox", "sent", "error", "outgoing",
    "outbound", "inbound", "Close.io", "External", "image/png", "video/H264",
    "+14154445555", "+14154445555", "+1 (415) 444-5555", "phon_x",
    "2026-11-23T08:00:00Z", "2026-11-23T08:00:00Z", "2016-12-31T23:59:60Z",
    "2017-01-01T00:59:60.5+01:00", "2026-11-23", "1900-02-29T00:00:00Z",
    "Gr\xC3\xBC\xC3\x9F", "\xF0\x9F\x98\x80", "\xED\xA0\x80", "\xFF", "", "a",
    "https://example.com/a", "remote_phnoe", "to", "contentType",
};

/* A seed as it is, or with some bytes replaced, repeated or cut. In a block
 * with no byte to spare; the caller frees it. */
static char *random_string(size_t *len, int mutate) {
  const char *seed = seeds[below(COUNT(seeds))];
  char bytes[LONGEST], *block;
  size_t i, n = strlen(seed);
  memcpy(bytes, seed, n);
  if (mutate && below(8) == 0)
    while (n < LONGEST - 1) bytes[n++] = (char)below(256);
  for (i = mutate ? below(4) : 0; i > 0 && n > 0; i--)
    bytes[below(n)] = below(2) ? "0912:+-.TZ \0\x80\xC3"[below(14)]
                               : (char)below(256);
  if (mutate && n > 0 && below(4) == 0) n = below(n);
  block = malloc(n > 0 ? n : 1);
  assert_non_null(block);
  memcpy(block, bytes, n);
  *len = n;
  return block;
}

/* ---- strings ---- */

static void agree_on(const char *s, size_t len) {
  char number[CLO_E164_SIZE];
  size_t bad = clo_utf8_check(s, len);
  assert_true(bad <= len);
  assert_int_equal(clo_utf8_check(s, bad), bad);
  if (clo_e164_hint(s, len, number))
    assert_true(clo_e164_check(number, strlen(number)));
  if (clo_e164_check(s, len) || clo_rfc3339_check(s, len) == NULL)
    assert_int_equal(bad, len);
}

static void survives_random_strings(void **state) {
  struct clo_violations got;
  size_t i, len;
  char *s;
  for (i = 0; i < STRINGS; i++) {
    s = random_string(&len, 1);
    agree_on(s, len);
    clo_violations_init(&got);
    clo_sms_unknown(CLO_CREATE, s, len, below(2) * below(10), &got);
    expect_one_line(got.list[0].message);
    clo_violations_free(&got);
    free(s);
  }
}

static void writes_only_dates_that_it_takes(void **state) {
  char out[CLO_RFC3339_SIZE];
  double seconds;
  size_t i, len;
  for (i = 0; i < STRINGS; i++) {
    seconds = (double)below(400000000) * 1000.0 - 1e11;
    seconds += (double)below(1000000) / 1000.0;
    len = clo_rfc3339_write(seconds, out);
    if (len > 0) assert_null(clo_rfc3339_check(out, len));
    assert_int_equal(len > 0, seconds >= -62167219200.0 &&
                                  seconds < 253402300799.9995);
  }
}

/* ---- the rules once more ---- */

static int is(const struct clo_value *value, const char *word) {
  return value->type == CLO_STRING && value->len == strlen(word) &&
         memcmp(value->data, word, value->len) == 0;
}

static int given(const struct clo_value *value) {
  return value->type != CLO_ABSENT && value->type != CLO_NULL;
}

static int value_is_good(const struct clo_field *field,
                         const struct clo_value *v) {
  char out[CLO_RFC3339_SIZE];
  const char *const *word;
  if (v->type == CLO_ABSENT) return !field->required;
  if (v->type == CLO_NULL) return field->nullable;
  if (field->kind == CLO_KIND_BOOLEAN) return v->type == CLO_BOOLEAN;
  if (field->kind == CLO_KIND_LIST) return v->type == CLO_LIST;
  if (field->kind == CLO_KIND_NUMBER)
    return v->type == CLO_NUMBER && v->number >= 0 && v->number < 60;
  if (field->kind == CLO_KIND_DATE && v->type == CLO_NUMBER)
    return clo_rfc3339_write(v->number, out) > 0;
  if (v->type != CLO_STRING || clo_utf8_check(v->data, v->len) < v->len)
    return 0;
  if (field->kind == CLO_KIND_PHONE) return clo_e164_check(v->data, v->len);
  if (field->kind == CLO_KIND_DATE)
    return clo_rfc3339_check(v->data, v->len) == NULL;
  if (field->kind == CLO_KIND_STRING) return 1;
  for (word = field->values; *word != NULL; word++)
    if (is(v, *word)) return 1;
  return 0;
}

static int fields_are_good(const struct clo_sms *sms) {
  size_t i, f;
  for (f = 0; f < CLO_SMS_FIELDS; f++)
    if (!value_is_good(&clo_sms_fields[f], &sms->field[f])) return 0;
  if (sms->field[CLO_SMS_ATTACHMENTS].type != CLO_LIST) return 1;
  for (i = 0; i < sms->attachment_count; i++) {
    if (sms->attachments[i].type != CLO_OBJECT) return 0;
    for (f = 0; f < CLO_ATTACHMENT_FIELDS; f++)
      if (!value_is_good(&clo_attachment_fields[f],
                         &sms->attachments[i].field[f]))
        return 0;
  }
  return 1;
}

static int sms_is_good(const struct clo_sms *sms) {
  const struct clo_value *v = sms->field, *status = &v[CLO_SMS_STATUS];
  int sends = is(status, "outbox") || is(status, "scheduled");
  int text = given(&v[CLO_SMS_TEXT]), template = given(&v[CLO_SMS_TEMPLATE_ID]);
  if (!fields_are_good(sms)) return 0;
  if (text && template) return 0;
  if (is(status, "scheduled") && !given(&v[CLO_SMS_DATE_SCHEDULED])) return 0;
  if (given(&v[CLO_SMS_DATE_SCHEDULED]) && !is(status, "scheduled") &&
      !is(status, "draft"))
    return 0;
  if (given(&v[CLO_SMS_SEND_IN]) && !is(status, "outbox")) return 0;
  if (given(&v[CLO_SMS_SEND_TO_INBOX]) && !is(status, "inbox")) return 0;
  if (sends && !given(&v[CLO_SMS_LOCAL_PHONE])) return 0;
  if (sends && !given(&v[CLO_SMS_REMOTE_PHONE]) &&
      v[CLO_SMS_CONTACT_ID].len == 0 && v[CLO_SMS_LEAD_ID].len == 0)
    return 0;
  if (sends && v[CLO_SMS_TEMPLATE_ID].len == 0 && v[CLO_SMS_TEXT].len == 0 &&
      (!given(&v[CLO_SMS_ATTACHMENTS]) || sms->attachment_count == 0))
    return 0;
  return 1;
}

/* ---- random SMS ---- */

static void make_string(struct clo_value *value, const char *s) {
  char *block;
  value->type = CLO_STRING;
  value->len = strlen(s);
  block = malloc(value->len > 0 ? value->len : 1);
  assert_non_null(block);
  memcpy(block, s, value->len);
  value->data = block;
}

/* A value that the field takes by itself. */
static void make_good(const struct clo_field *field, struct clo_value *value) {
  size_t count = 0;
  switch (field->kind) {
    case CLO_KIND_STRING: make_string(value, below(4) ? "text" : ""); break;
    case CLO_KIND_PHONE: make_string(value, "+14154445555"); break;
    case CLO_KIND_DATE: make_string(value, "2026-11-23T08:00:00Z"); break;
    case CLO_KIND_ENUM:
      while (field->values[count] != NULL) count++;
      make_string(value, field->values[below(count)]);
      break;
    case CLO_KIND_NUMBER:
      value->type = CLO_NUMBER;
      value->number = (double)below(60);
      break;
    case CLO_KIND_BOOLEAN: value->type = CLO_BOOLEAN; break;
    case CLO_KIND_LIST: value->type = CLO_LIST; break;
    case CLO_KIND_COUNT: /* no field of an SMS has these */
    case CLO_KIND_WORDS: break;
  }
}

static void make_random(struct clo_value *value) {
  static const double numbers[] = {0, -1, 59.9, 60, 1e9, 1e300, -1e300};
  double number = numbers[below(COUNT(numbers))];
  char *block;
  value->type = (enum clo_type)below(CLO_OBJECT + 1);
  value->boolean = (int)below(2);
  value->number = below(9) ? number : number * 1e300 - number * 1e300;
  if (value->type != CLO_STRING) return;
  block = random_string(&value->len, 1);
  value->data = block;
}

static void make_value(const struct clo_field *field, struct clo_value *value,
                       size_t one_bad_in) {
  memset(value, 0, sizeof *value);
  if (below(one_bad_in) == 0)
    make_random(value);
  else if (field->required || below(4) == 0)
    make_good(field, value);
}

static void free_values(struct clo_value *values, size_t count) {
  size_t i;
  for (i = 0; i < count; i++) free((void *)(uintptr_t)values[i].data);
}

static void make_sms(struct clo_sms *sms, struct clo_attachment items[3]) {
  size_t i, f, one_bad_in = below(2) ? 200 : 5;
  memset(sms, 0, sizeof *sms);
  for (f = 0; f < CLO_SMS_FIELDS; f++)
    make_value(&clo_sms_fields[f], &sms->field[f], one_bad_in);
  sms->attachments = items;
  if (sms->field[CLO_SMS_ATTACHMENTS].type == CLO_LIST)
    sms->attachment_count = below(4);
  for (i = 0; i < 3; i++) {
    items[i].type = below(20) ? CLO_OBJECT : (enum clo_type)below(CLO_OBJECT);
    items[i].type_name = below(2) ? "a thing" : NULL;
    for (f = 0; f < CLO_ATTACHMENT_FIELDS; f++)
      make_value(&clo_attachment_fields[f], &items[i].field[f], one_bad_in);
  }
}

static void refuses_what_the_rules_refuse(void **state) {
  struct clo_attachment items[3];
  struct clo_violations got;
  struct clo_sms sms;
  size_t i, v, good = 0;
  for (i = 0; i < SMS; i++) {
    make_sms(&sms, items);
    clo_violations_init(&got);
    clo_sms_check(&sms, &got);
    if ((got.count == 0) != sms_is_good(&sms))
      fail_msg("%zu: %s", i, got.count ? got.list[0].message : "taken");
    good += got.count == 0;
    for (v = 0; v < got.count; v++) expect_one_line(got.list[v].message);
    clo_violations_free(&got);
    free_values(sms.field, CLO_SMS_FIELDS);
    for (v = 0; v < 3; v++) free_values(items[v].field, CLO_ATTACHMENT_FIELDS);
  }
  /* Else it would be a test of refusals only. */
  assert_true(good > SMS / 50 && good < SMS / 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(survives_random_strings),
      cmocka_unit_test(writes_only_dates_that_it_takes),
      cmocka_unit_test(refuses_what_the_rules_refuse),
  };
  return cmocka_run_group_tests_name("clo_fuzz", tests, NULL, NULL);
}
