/* The fields of an SMS and of an attachment, and the rules between fields. The
 * tables here are the only ones; clo_field.c checks each field by itself. */
#include "clo_sms.h"

#include <string.h>

#include "clo_field.h"

/* ---- tables ---- */

enum status { INBOX, DRAFT, SCHEDULED, OUTBOX, SENT, FAILED, STATUSES };

static const char *const statuses[STATUSES + 1] = {
    [INBOX] = "inbox",   [DRAFT] = "draft", [SCHEDULED] = "scheduled",
    [OUTBOX] = "outbox", [SENT] = "sent",   [FAILED] = "error",
};

static const char *const directions[] = {"inbound", "outbound", NULL};

static const char *const sources[] = {"Close.io", "External", NULL};

static const char *const content_types[] = {
    "application/pdf", "application/vcard", "audio/3gpp", "audio/3gpp2",
    "audio/L24", "audio/ac3", "audio/amr", "audio/amr-nb", "audio/basic",
    "audio/mp4", "audio/mpeg", "audio/ogg", "audio/vnd.rn-realaudio",
    "audio/vnd.wave", "audio/webm", "image/bmp", "image/gif", "image/jpeg",
    "image/jpg", "image/png", "image/tiff", "text/calendar", "text/csv",
    "text/directory", "text/richtext", "text/rtf", "text/vcard",
    "text/x-vcard", "video/3gpp", "video/3gpp-tt", "video/3gpp2",
    "video/H261", "video/H263", "video/H263-1998", "video/H263-2000",
    "video/H264", "video/mp4", "video/mpeg", "video/quicktime", "video/webm",
    NULL};

enum { OPTIONAL = 0, REQUIRED = 1 };
enum { NOT_NULL = 0, NULLABLE = 1 };
enum { IN_BODY = 0, IN_QUERY = 1 };
enum { FIXED = 0, CHANGEABLE = 1 };

#define FIELD(name, kind, required, nullable, where, update, values)        \
  {                                                                         \
    name, sizeof name - 1, CLO_KIND_##kind, required, nullable, where, update, \
        values                                                              \
  }
#define PLAIN(name, kind, update) \
  FIELD(name, kind, OPTIONAL, NULLABLE, IN_BODY, update, NULL)

const struct clo_field clo_sms_fields[CLO_SMS_FIELDS] = {
    [CLO_SMS_ACTIVITY_AT] = PLAIN("activity_at", DATE, CHANGEABLE),
    [CLO_SMS_ATTACHMENTS] = PLAIN("attachments", LIST, CHANGEABLE),
    [CLO_SMS_CONTACT_ID] = PLAIN("contact_id", STRING, CHANGEABLE),
    [CLO_SMS_CREATED_BY_ID] = PLAIN("created_by_id", STRING, FIXED),
    [CLO_SMS_DATE_CREATED] = PLAIN("date_created", DATE, FIXED),
    [CLO_SMS_DATE_SCHEDULED] = PLAIN("date_scheduled", DATE, CHANGEABLE),
    [CLO_SMS_DIRECTION] = FIELD("direction", ENUM, OPTIONAL, NOT_NULL, IN_BODY,
                                FIXED, directions),
    [CLO_SMS_LEAD_ID] = PLAIN("lead_id", STRING, CHANGEABLE),
    [CLO_SMS_LOCAL_PHONE] = PLAIN("local_phone", PHONE, CHANGEABLE),
    [CLO_SMS_ORGANIZATION_ID] = PLAIN("organization_id", STRING, FIXED),
    [CLO_SMS_REMOTE_PHONE] = PLAIN("remote_phone", PHONE, CHANGEABLE),
    [CLO_SMS_SEND_IN] = FIELD("send_in", NUMBER, OPTIONAL, NOT_NULL, IN_BODY,
                              CHANGEABLE, NULL),
    [CLO_SMS_SEND_TO_INBOX] = FIELD("send_to_inbox", BOOLEAN, OPTIONAL,
                                    NOT_NULL, IN_QUERY, FIXED, NULL),
    [CLO_SMS_SOURCE] =
        FIELD("source", ENUM, OPTIONAL, NOT_NULL, IN_BODY, FIXED, sources),
    [CLO_SMS_STATUS] = FIELD("status", ENUM, REQUIRED, NOT_NULL, IN_BODY,
                             CHANGEABLE, statuses),
    [CLO_SMS_TEMPLATE_ID] = PLAIN("template_id", STRING, CHANGEABLE),
    [CLO_SMS_TEXT] = PLAIN("text", STRING, CHANGEABLE),
    [CLO_SMS_USER_ID] = PLAIN("user_id", STRING, CHANGEABLE),
};

const struct clo_field clo_attachment_fields[CLO_ATTACHMENT_FIELDS] = {
    [CLO_ATTACHMENT_CONTENT_TYPE] =
        FIELD("content_type", ENUM, REQUIRED, NOT_NULL, IN_BODY, CHANGEABLE,
              content_types),
    [CLO_ATTACHMENT_FILENAME] = FIELD("filename", STRING, REQUIRED, NOT_NULL,
                                      IN_BODY, CHANGEABLE, NULL),
    [CLO_ATTACHMENT_URL] = FIELD("url", STRING, REQUIRED, NOT_NULL, IN_BODY,
                                 CHANGEABLE, NULL),
};

static int find(const struct clo_field *fields, int count, const char *name,
                size_t len) {
  int i;
  for (i = 0; i < count; i++)
    if (fields[i].len == len && memcmp(fields[i].name, name, len) == 0)
      return i;
  return -1;
}

int clo_sms_find(const char *name, size_t len) {
  return find(clo_sms_fields, CLO_SMS_FIELDS, name, len);
}

int clo_attachment_find(const char *name, size_t len) {
  return find(clo_attachment_fields, CLO_ATTACHMENT_FIELDS, name, len);
}

static void check_attachment(const struct clo_attachment *attachment,
                             size_t item, struct clo_violations *violations) {
  struct clo_check check = {NULL, item, violations};
  const char *name = attachment->type_name;
  int i;
  if (attachment->type != CLO_OBJECT) {
    clo_check_report_type(&check, attachment->type, name,
                          name ? strlen(name) : 0);
    return;
  }
  for (i = 0; i < CLO_ATTACHMENT_FIELDS; i++) {
    check.field = &clo_attachment_fields[i];
    clo_check_value(&check, &attachment->field[i]);
  }
}

int clo_attachment_is_answered(const char *name, size_t len) {
  static const char *const names[] = {"size", "media_id", "thumbnail_url"};
  size_t i;
  for (i = 0; i < sizeof names / sizeof *names; i++)
    if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) return 1;
  return 0;
}

static double attachment_bytes(const struct clo_sms *sms) {
  double bytes = 0;
  size_t i;
  int at;
  for (i = 0; i < sms->attachment_count; i++)
    for (at = 0; at < CLO_ATTACHMENT_FIELDS; at++)
      bytes += (double)sms->attachments[i].field[at].len;
  return bytes;
}

double clo_sms_bytes(const struct clo_sms *sms) {
  double bytes = attachment_bytes(sms);
  int at;
  for (at = 0; at < CLO_SMS_FIELDS; at++) bytes += (double)sms->field[at].len;
  return bytes;
}

static void check_attachments(const struct clo_sms *sms,
                              struct clo_violations *violations) {
  struct clo_check check = {&clo_sms_fields[CLO_SMS_ATTACHMENTS], 0,
                            violations};
  double bytes = attachment_bytes(sms);
  size_t i;
  /* One long string in many places would take hours to read. */
  if (bytes > CLO_BODY_MAX) {
    clo_check_report(&check, "range",
                     "have %.0f bytes: give fewer, %d bytes is the most for a "
                     "request", bytes, CLO_BODY_MAX);
    return;
  }
  for (i = 0; i < sms->attachment_count; i++)
    check_attachment(&sms->attachments[i], i + 1, violations);
}

/* ---- rules between fields ----
 * A value of the wrong type has its violation already; for these rules it
 * counts as given, so that a mistake is reported once. */

static int is_given(const struct clo_value *value) {
  return value->type != CLO_ABSENT && value->type != CLO_NULL;
}

static int is_usable(const struct clo_sms *sms, enum clo_sms_field field) {
  return clo_field_takes(&clo_sms_fields[field], &sms->field[field]);
}

/* A bit for each status. */
#define IS(status) (1u << (status))

struct status_rule {
  enum clo_sms_field field;
  unsigned statuses;
  const char *mend;
};

static const struct status_rule only_with[] = {
    {CLO_SMS_DATE_SCHEDULED, IS(SCHEDULED) | IS(DRAFT),
     "with \"outbox\" the SMS would be sent at once: set status to "
     "\"scheduled\", or leave date_scheduled out"},
    {CLO_SMS_SEND_IN, IS(OUTBOX),
     "leave it out, or set status to \"outbox\" to send the SMS"},
    {CLO_SMS_SEND_TO_INBOX, IS(INBOX),
     "leave it out, or set status to \"inbox\" to log an SMS received"},
};

static const struct status_rule required_with[] = {
    {CLO_SMS_DATE_SCHEDULED, IS(SCHEDULED),
     "say when, such as \"2026-11-23T08:00:00Z\""},
    {CLO_SMS_LOCAL_PHONE, IS(OUTBOX) | IS(SCHEDULED),
     "give your number in Close that the SMS is to be sent from"},
    {CLO_SMS_REMOTE_PHONE, IS(OUTBOX) | IS(SCHEDULED),
     "give the number to send to, or contact_id or lead_id"},
    {CLO_SMS_TEXT, IS(OUTBOX) | IS(SCHEDULED),
     "give text, template_id or an attachment"},
};

/* What an update may set the status to. */
#define UPDATES (IS(DRAFT) | IS(SCHEDULED) | IS(OUTBOX))

static int is_empty(const struct clo_value *value) {
  return value->type == CLO_STRING && value->len == 0;
}

/* Whether there is anything to send; an empty string is nothing. */
static int has_content(const struct clo_sms *sms) {
  const struct clo_value *text = &sms->field[CLO_SMS_TEXT];
  const struct clo_value *template = &sms->field[CLO_SMS_TEMPLATE_ID];
  const struct clo_value *list = &sms->field[CLO_SMS_ATTACHMENTS];
  if (is_given(text) && !is_empty(text)) return 1;
  if (is_given(template) && !is_empty(template)) return 1;
  return is_given(list) &&
         (list->type != CLO_LIST || sms->attachment_count > 0);
}

/* Whether the SMS exists: it may have fields that are not given. */
static int exists(const struct clo_sms *sms) {
  return sms->verb == CLO_UPDATE || sms->verb == CLO_SEND_DRAFT;
}

/* Whether a field is not given; for an SMS that exists: is removed. */
static int is_without(const struct clo_sms *sms, enum clo_sms_field field) {
  const struct clo_value *value = &sms->field[field];
  if (clo_sms_fields[field].kind == CLO_KIND_STRING && is_empty(value))
    return 1;
  return exists(sms) ? value->type == CLO_NULL : !is_given(value);
}

static int is_missing(const struct clo_sms *sms, enum clo_sms_field field) {
  if (field == CLO_SMS_TEXT) return !exists(sms) && !has_content(sms);
  if (field == CLO_SMS_REMOTE_PHONE && !(is_without(sms, CLO_SMS_CONTACT_ID) &&
                                         is_without(sms, CLO_SMS_LEAD_ID)))
    return 0;
  return is_without(sms, field);
}

static int is_sending(enum clo_verb verb) {
  return verb == CLO_SEND || verb == CLO_SEND_DRAFT;
}

/* The sentence depends on the verb: send takes no status. */
static void report_at_odds(const struct clo_sms *sms, unsigned status,
                           const struct status_rule *rule,
                           struct clo_violations *violations) {
  const struct clo_field *statuses_of = &clo_sms_fields[CLO_SMS_STATUS];
  struct clo_check check = {&clo_sms_fields[rule->field], 0, violations};
  char list[CLO_JOIN_SIZE], own[CLO_JOIN_SIZE];
  clo_field_join(statuses_of, rule->statuses, list);
  if (is_sending(sms->verb)) /* send_in, the only one */
    clo_check_report(&check, "conflict",
                     "cannot go with date_scheduled; leave one of them out");
  else if (status == 0)
    clo_check_report(&check, "conflict",
                     "goes only with status %s, which is not given; %s", list,
                     rule->mend);
  else
    clo_check_report(&check, "conflict",
                     "goes only with status %s, not with %s; %s", list,
                     clo_field_join(statuses_of, status, own), rule->mend);
}

static void report_missing(const struct clo_sms *sms, unsigned status,
                           const struct status_rule *rule,
                           struct clo_violations *violations) {
  struct clo_check check = {&clo_sms_fields[rule->field], 0, violations};
  char own[CLO_JOIN_SIZE];
  if (is_sending(sms->verb))
    clo_check_report(&check, "required", "is required to send an SMS: %s",
                     rule->mend);
  else
    clo_check_report(&check, "required", "is required with status %s: %s",
                     clo_field_join(&clo_sms_fields[CLO_SMS_STATUS], status,
                                    own),
                     rule->mend);
}

/* status is a bit, or 0 for an update that leaves it as it is. */
static void check_status_rules(const struct clo_sms *sms, unsigned status,
                               struct clo_violations *violations) {
  const struct status_rule *rule, *end;
  end = only_with + sizeof only_with / sizeof *only_with;
  for (rule = only_with; rule < end; rule++)
    if (!(rule->statuses & status) && is_usable(sms, rule->field) &&
        clo_sms_takes(sms->verb, rule->field))
      report_at_odds(sms, status, rule, violations);
  end = required_with + sizeof required_with / sizeof *required_with;
  for (rule = required_with; rule < end; rule++)
    if ((rule->statuses & status) && is_missing(sms, rule->field))
      report_missing(sms, status, rule, violations);
}

/* ---- verbs ---- */

int clo_sms_takes(enum clo_verb verb, enum clo_sms_field field) {
  if (is_sending(verb))
    return field != CLO_SMS_STATUS && field != CLO_SMS_SEND_TO_INBOX;
  return verb == CLO_CREATE || clo_sms_fields[field].update;
}

/* Reports a field that others of these verbs take. */
static void report_not_taken(const struct clo_check *check,
                             const struct clo_sms *sms) {
  if (!is_sending(sms->verb))
    clo_check_report(check, "unknown_field",
                     "cannot be changed once the SMS exists: leave it out");
  else if (check->field == &clo_sms_fields[CLO_SMS_STATUS])
    clo_check_report(check, "unknown_field",
                     "cannot be given here: send sets it, to "
                     "\"scheduled\" if there is a date_scheduled, otherwise "
                     "to \"outbox\"; use create for another");
  else
    clo_check_report(check, "unknown_field",
                     "goes only with status \"inbox\": use create, or leave it "
                     "out");
}

static void check_field(const struct clo_sms *sms, enum clo_sms_field field,
                        struct clo_violations *violations) {
  const struct clo_value *value = &sms->field[field];
  struct clo_check check = {&clo_sms_fields[field], 0, violations};
  if (!clo_sms_takes(sms->verb, field)) {
    if (value->type != CLO_ABSENT) report_not_taken(&check, sms);
    return;
  }
  if (value->type == CLO_ABSENT && sms->verb != CLO_CREATE) return;
  clo_check_value(&check, value);
  if (field == CLO_SMS_ATTACHMENTS && is_usable(sms, field))
    check_attachments(sms, violations);
}

/* The status that the SMS is to have, as a bit; 0 where there is none. */
static unsigned find_status(const struct clo_sms *sms,
                            struct clo_violations *violations) {
  struct clo_check check = {&clo_sms_fields[CLO_SMS_STATUS], 0, violations};
  char list[CLO_JOIN_SIZE], own[CLO_JOIN_SIZE];
  int status;
  if (is_sending(sms->verb))
    return is_given(&sms->field[CLO_SMS_DATE_SCHEDULED]) ? IS(SCHEDULED)
                                                         : IS(OUTBOX);
  status = clo_field_value(check.field, &sms->field[CLO_SMS_STATUS]);
  if (status < 0) return 0;
  if (sms->verb == CLO_UPDATE && !(UPDATES & IS(status)))
    clo_check_report(&check, "enum",
                     "can only be changed to %s, got %s; use create for "
                     "another",
                     clo_field_join(check.field, UPDATES, list),
                     clo_field_join(check.field, IS(status), own));
  return IS(status);
}

void clo_sms_check(const struct clo_sms *sms,
                   struct clo_violations *violations) {
  struct clo_check check = {NULL, 0, violations};
  unsigned status;
  int i;
  for (i = 0; i < CLO_SMS_FIELDS; i++)
    check_field(sms, (enum clo_sms_field)i, violations);
  if (is_usable(sms, CLO_SMS_TEXT) && is_usable(sms, CLO_SMS_TEMPLATE_ID)) {
    check.field = &clo_sms_fields[CLO_SMS_TEMPLATE_ID];
    clo_check_report(&check, "conflict",
                     "cannot go with text, which the template would write; "
                     "leave one of them out");
  }
  status = find_status(sms, violations);
  if (status != 0 || (sms->verb == CLO_UPDATE &&
                      !is_given(&sms->field[CLO_SMS_STATUS])))
    check_status_rules(sms, status, violations);
}
