/* The fields of an SMS activity as one table, and the rules between them.
 * Sources: https://developer.close.com/api/resources/activities/sms/create and,
 * for what an update takes, .../sms/update beside it.
 *
 * A caller fills a struct clo_sms, clo_sms_check() reports every violation at
 * once. Values are borrowed: nothing here keeps or frees a caller's string. */
#ifndef CLO_SMS_H
#define CLO_SMS_H

#include "clo_value.h"
#include "clo_violations.h"

/* In the order of the table clo_sms_fields. */
enum clo_sms_field {
  CLO_SMS_ACTIVITY_AT,
  CLO_SMS_ATTACHMENTS,
  CLO_SMS_CONTACT_ID,
  CLO_SMS_CREATED_BY_ID,
  CLO_SMS_DATE_CREATED,
  CLO_SMS_DATE_SCHEDULED,
  CLO_SMS_DIRECTION,
  CLO_SMS_LEAD_ID,
  CLO_SMS_LOCAL_PHONE,
  CLO_SMS_ORGANIZATION_ID,
  CLO_SMS_REMOTE_PHONE,
  CLO_SMS_SEND_IN,
  CLO_SMS_SEND_TO_INBOX,
  CLO_SMS_SOURCE,
  CLO_SMS_STATUS,
  CLO_SMS_TEMPLATE_ID,
  CLO_SMS_TEXT,
  CLO_SMS_USER_ID,
  CLO_SMS_FIELDS /* how many there are */
};

enum clo_attachment_field {
  CLO_ATTACHMENT_CONTENT_TYPE,
  CLO_ATTACHMENT_FILENAME,
  CLO_ATTACHMENT_URL,
  CLO_ATTACHMENT_FIELDS
};

/* What the caller wants to do with an SMS. */
enum clo_verb {
  CLO_CREATE = 0,
  CLO_UPDATE,    /* change some fields of one that exists */
  CLO_SEND,      /* make a draft, then have it sent: the status is ours */
  CLO_SEND_DRAFT /* the same with a draft that exists */
};

extern const struct clo_field clo_sms_fields[CLO_SMS_FIELDS];
extern const struct clo_field clo_attachment_fields[CLO_ATTACHMENT_FIELDS];

/* The index of a field in its table, or -1. */
int clo_sms_find(const char *name, size_t len);
int clo_attachment_find(const char *name, size_t len);

/* Whether an attachment has a member of this name in an answer only. Who hands
 * on what he got has it, too, so it is left out of a request. */
int clo_attachment_is_answered(const char *name, size_t len);

/* Whether a verb takes a field. */
int clo_sms_takes(enum clo_verb verb, enum clo_sms_field field);

struct clo_attachment {
  enum clo_type type;    /* CLO_OBJECT for a map, which is what is wanted */
  const char *type_name; /* otherwise: what it is, for the error sentence */
  struct clo_value field[CLO_ATTACHMENT_FIELDS];
};

struct clo_sms {
  enum clo_verb verb;
  struct clo_value field[CLO_SMS_FIELDS];
  /* The items where field[CLO_SMS_ATTACHMENTS] is a LIST; the caller's. */
  const struct clo_attachment *attachments;
  size_t attachment_count;
};

#define CLO_BODY_MAX (16 * 1024 * 1024) /* bytes; no SMS comes near it */

/* The bytes of all strings of sms; its body has no fewer. A string that stands
 * in it twice counts twice. */
double clo_sms_bytes(const struct clo_sms *sms);

/* Adds to violations all that is wrong with sms, in the order of the table and
 * then the rules between fields; of attachments that are too large, that alone.
 * Does not allocate where nothing is wrong. */
void clo_sms_check(const struct clo_sms *sms,
                   struct clo_violations *violations);

#endif
