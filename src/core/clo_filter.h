/* The filters of a list of SMS as one table, and what each of them may be.
 * Source: https://developer.close.com/api/resources/activities/sms/list
 *
 * A caller fills a struct clo_filters, clo_filters_check() reports every
 * violation at once. Values are borrowed. */
#ifndef CLO_FILTER_H
#define CLO_FILTER_H

#include <stddef.h>

#include "clo_sms.h"

/* In the order of the table clo_filter_fields, which is the order in a query.
 * The plain ones are other names, such as fields for _fields. */
enum clo_filter {
  CLO_FILTER_LIMIT,
  CLO_FILTER_SKIP,
  CLO_FILTER_FIELDS,
  CLO_FILTER_PLAIN_LIMIT,
  CLO_FILTER_PLAIN_SKIP,
  CLO_FILTER_PLAIN_FIELDS,
  CLO_FILTER_ID_IN,
  CLO_FILTER_LEAD_ID,
  CLO_FILTER_CONTACT_ID,
  CLO_FILTER_USER_ID,
  CLO_FILTER_ORGANIZATION_ID,
  CLO_FILTER_DATE_CREATED_GTE,
  CLO_FILTER_DATE_CREATED_LTE,
  CLO_FILTER_DATE_CREATED_GT,
  CLO_FILTER_DATE_CREATED_LT,
  CLO_FILTER_ACTIVITY_AT_GTE,
  CLO_FILTER_ACTIVITY_AT_LTE,
  CLO_FILTER_ACTIVITY_AT_GT,
  CLO_FILTER_ACTIVITY_AT_LT,
  CLO_FILTERS /* how many there are */
};

extern const struct clo_field clo_filter_fields[CLO_FILTERS];

/* The index of a filter in its table, or -1. */
int clo_filter_find(const char *name, size_t len);

/* The filter that a plain name stands for; every other one is its own. */
enum clo_filter clo_filter_meant(enum clo_filter filter);

struct clo_filters {
  struct clo_value value[CLO_FILTERS];
  /* Where value[i] is a LIST: its items, the caller's. */
  const struct clo_value *items[CLO_FILTERS];
  size_t count[CLO_FILTERS];
};

/* The next word of a string with commas, without the blanks around it: starts
 * at *at, which begins with 0, and moves it on. Returns 0 after the last. */
int clo_filter_word(const struct clo_value *value, size_t *at,
                    const char **word, size_t *len);

#define CLO_QUERY_MAX (64 * 1024) /* bytes; servers take less */

/* Adds to violations all that is wrong with filters, in the order of the
 * table; of those that are too large, that alone. Does not allocate where
 * nothing is wrong. */
void clo_filters_check(const struct clo_filters *filters,
                       struct clo_violations *violations);

/* Adds an unknown_field violation for a name that clo_filter_find does not
 * know, with a hint: the right name, or that Close has no such filter. */
void clo_filter_unknown(const char *name, size_t len,
                        struct clo_violations *violations);

#endif
