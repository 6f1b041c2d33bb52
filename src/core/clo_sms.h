/* The fields of an SMS activity as one table, and the rules between them.
 * Sources: https://developer.close.com/api/resources/activities/sms/create and,
 * for what an update takes, .../sms/update beside it.
 *
 * A caller fills a struct clo_sms, clo_sms_check() reports every violation at
 * once. Values are borrowed: nothing here keeps or frees a caller's string. */
#ifndef CLO_SMS_H
#define CLO_SMS_H

#include <stddef.h>

/* A value as the caller's language gave it. */
enum clo_type {
  CLO_ABSENT = 0,
  CLO_NULL,
  CLO_BOOLEAN,
  CLO_NUMBER,
  CLO_STRING,
  CLO_LIST,  /* a sequence without holes */
  CLO_OBJECT /* anything else: a map, a function, a list with holes */
};

struct clo_value {
  enum clo_type type;
  int boolean;
  double number;
  const char *data; /* STRING: its bytes. OBJECT: what to call it in an error
                       sentence, such as "a function" or "a list with a hole
                       at 2" */
  size_t len;       /* of data */
};

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

/* What a field may hold. */
enum clo_kind {
  CLO_KIND_STRING, /* any UTF-8 */
  CLO_KIND_PHONE,  /* E.164 */
  CLO_KIND_DATE,   /* RFC 3339, or a number of seconds since 1970 */
  CLO_KIND_ENUM,
  CLO_KIND_NUMBER,
  CLO_KIND_BOOLEAN,
  CLO_KIND_LIST,  /* of attachments */
  CLO_KIND_COUNT, /* a whole number */
  CLO_KIND_WORDS  /* words, in a list or in a string with commas */
};

/* What the caller wants to do with an SMS. */
enum clo_verb {
  CLO_CREATE = 0,
  CLO_UPDATE,    /* change some fields of one that exists */
  CLO_SEND,      /* make a draft, then have it sent: the status is ours */
  CLO_SEND_DRAFT /* the same with a draft that exists */
};

struct clo_field {
  const char *name;
  size_t len; /* of name */
  enum clo_kind kind;
  int required;
  int nullable;
  int query;                 /* travels in the URL's query, not in the body */
  int update;                /* can be changed later */
  const char *const *values; /* ENUM: the values, NULL at the end */
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

/* One broken rule. The strings live as long as the list they are in. */
struct clo_violation {
  char *field;      /* such as "attachments[2].url"; owned by the list */
  const char *code; /* required, type, enum, format, range, conflict,
                       unknown_field */
  char *message;    /* one sentence that says how to mend it; owned */
};

#define CLO_VIOLATIONS_MAX 1000 /* listed; the rest is counted */

struct clo_violations {
  struct clo_violation *list; /* owned */
  size_t count;
  size_t cap;
  size_t unlisted;  /* found beyond CLO_VIOLATIONS_MAX */
  int out_of_memory; /* one could not be stored: the list is not complete */
};

/* An empty list; allocates nothing. */
void clo_violations_init(struct clo_violations *violations);

/* Empties it and gives all memory back. */
void clo_violations_free(struct clo_violations *violations);

/* Adds one violation; field and the message (a printf format) are copied.
 * On lack of memory sets out_of_memory and drops it. */
void clo_violations_add(struct clo_violations *violations, const char *field,
                        const char *code, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;

#define CLO_BODY_MAX (16 * 1024 * 1024) /* bytes; no SMS comes near it */

/* The bytes of all strings of sms; its body has no fewer. A string that stands
 * in it twice counts twice. */
double clo_sms_bytes(const struct clo_sms *sms);

/* Adds to violations all that is wrong with sms, in the order of the table and
 * then the rules between fields; of attachments that are too large, that alone.
 * Does not allocate where nothing is wrong. */
void clo_sms_check(const struct clo_sms *sms,
                   struct clo_violations *violations);

/* Adds an unknown_field violation for a name that clo_sms_find (item 0) or
 * clo_attachment_find (item = the attachment's place, from 1) does not know,
 * with a hint: the known wrong names (to, from, body, message, phone, ...) or
 * the nearest right one, where the verb takes that. */
void clo_sms_unknown(enum clo_verb verb, const char *name, size_t len,
                     size_t item, struct clo_violations *violations);

#endif
