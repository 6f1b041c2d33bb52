/* Values as a caller gives them, and the fields that may hold them. */
#ifndef CLO_VALUE_H
#define CLO_VALUE_H

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

#endif
