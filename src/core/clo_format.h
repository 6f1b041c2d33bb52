/* The formats that Close's fields are written in, one check each. Strings are
 * counted, never expected to end in a NUL; nothing here allocates. */
#ifndef CLO_FORMAT_H
#define CLO_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* Returns the offset of the first byte that breaks UTF-8 (RFC 3629: no
 * overlong forms, no surrogates, nothing above U+10FFFF), or len. U+0000 is a
 * character like any other. */
size_t clo_utf8_check(const char *s, size_t len);

/* Reads the character that s begins with: returns its length in bytes, and its
 * number in *code; or 0 where there is none, by the same rules. */
size_t clo_utf8_read(const char *s, size_t len, uint32_t *code);

/* Whether a character leaves no mark of its own: a control or format character,
 * a blank other than the space, what parts lines or turns their direction. */
int clo_is_invisible(uint32_t code);

/* Returns the offset of the first byte of s, of what should be plain ASCII,
 * that is not: of a character that is not printable ASCII, or of a space at the
 * start or the end; or len. */
size_t clo_find_odd(const char *s, size_t len);

/* 1 if s is a phone number in E.164 form: "+", then 2 to 15 digits of which
 * the first is not 0. */
int clo_e164_check(const char *s, size_t len);

#define CLO_E164_SIZE 17 /* "+", 15 digits, NUL */

/* Where only spaces, dots, brackets, dashes and invisible characters keep s
 * from being E.164, or fullwidth ones in place of ASCII's, writes the cleaned
 * number and a NUL to out and returns 1; else returns 0. */
int clo_e164_hint(const char *s, size_t len, char out[CLO_E164_SIZE]);

/* NULL if s is an RFC 3339 date-time with an offset, a day the calendar has,
 * and a leap second only where RFC 3339 (5.6, 5.7) allows one: second 60 in
 * the last minute of a month in UTC. Otherwise a constant clause that says
 * what is wrong, such as "it has no offset". */
const char *clo_rfc3339_check(const char *s, size_t len);

/* Reads such a date-time as seconds since 1970-01-01T00:00:00Z; 0 where it is
 * none. A leap second is the second after it. */
int clo_rfc3339_read(const char *s, size_t len, double *seconds);

#define CLO_RFC3339_SIZE 32

/* Writes the instant seconds (since 1970-01-01T00:00:00Z, fractions kept to
 * the millisecond) as RFC 3339 in UTC, such as "2026-11-23T08:00:00Z" or
 * "...00.250Z". Returns the length without the NUL, or 0 where the number is
 * not finite or the year would leave 0000 to 9999. */
size_t clo_rfc3339_write(double seconds, char out[CLO_RFC3339_SIZE]);

#endif
