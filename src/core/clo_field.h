/* One field of a table against one value: type, null, format, enum, range. For
 * the core's own use; the rules between fields are clo_sms.c's. */
#ifndef CLO_FIELD_H
#define CLO_FIELD_H

#include "clo_value.h"
#include "clo_violations.h"

/* Where a value stands, and where to report what is wrong with it. */
struct clo_check {
  const struct clo_field *field; /* NULL: the attachment itself */
  size_t item; /* the attachment's place, from 1; 0: a field of the SMS */
  struct clo_violations *violations;
};

/* Adds a violation; the sentence begins with the field's name, which is not to
 * stand in format. */
void clo_check_report(const struct clo_check *check, const char *code,
                      const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* Reports a value of the wrong type; name, of len bytes, is what to call it, or
 * NULL for the type's own name. */
void clo_check_report_type(const struct clo_check *check, enum clo_type type,
                           const char *name, size_t len);

/* Reports all that is wrong with a value by itself. */
void clo_check_value(const struct clo_check *check,
                     const struct clo_value *value);

/* Whether the value is of a type that the field takes. */
int clo_field_takes(const struct clo_field *field,
                    const struct clo_value *value);

/* The index of a value in an ENUM field's list, or -1. */
int clo_field_value(const struct clo_field *field,
                    const struct clo_value *value);

#define CLO_JOIN_SIZE 128

/* Writes the values whose bit is set in mask to out, as "a", "b", and returns
 * out; as many as there is room for. */
const char *clo_field_join(const struct clo_field *field, unsigned mask,
                           char out[CLO_JOIN_SIZE]);

#endif
