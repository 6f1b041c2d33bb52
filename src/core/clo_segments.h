/* How a text travels as SMS: its encoding, and the segments that it takes.
 *
 * 3GPP TS 23.038, 6.2.1: the GSM 7 bit default alphabet, and 6.2.1.1: its
 * extension table, whose characters are an escape and a septet. 6.2.3: UCS2,
 * which carries UTF-16 today, so a character above U+FFFF is two units. 6.1.2:
 * a message's 140 octets hold 160 septets, or 70 units.
 * 3GPP TS 23.040, 9.2.3.24.1: 153 or 67 where a header of 6 octets (8-bit
 * reference) joins messages; neither a character that is an escape-sequence
 * nor a UCS2 character is split in the middle.
 *
 * National language tables, which need a header of their own, are not used. */
#ifndef CLO_SEGMENTS_H
#define CLO_SEGMENTS_H

#include <stddef.h>

#define CLO_FORCED_MAX 32 /* characters listed; the rest is left out */

struct clo_segments {
  int ucs2;           /* 0: the GSM 7 bit default alphabet */
  size_t segments;    /* 0 for an empty text */
  size_t units;       /* septets or UTF-16 code units, escapes counted */
  size_t remaining;   /* units free in the last segment */
  size_t per_segment; /* 160 or 153, 70 or 67 */
  /* The distinct characters that the default alphabet lacks, as bytes of the
   * text, in the order of their first appearance. */
  struct {
    size_t at, len;
  } forced_by[CLO_FORCED_MAX];
  size_t forced_count;
};

/* Fills *out and returns len, or returns the offset of the first byte that
 * breaks UTF-8; then *out holds nothing of use. Goes through the text once and
 * allocates nothing. */
size_t clo_segments_count(const char *text, size_t len,
                          struct clo_segments *out);

#endif
