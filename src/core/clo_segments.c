/* The alphabet as a table, and one pass through the text that counts both
 * encodings: at its end it is known which one applies. */
#include "clo_segments.h"

#include <string.h>

#include "clo_format.h"

/* ---- the default alphabet ---- */

/* The septets of U+0000 to U+00FF, a row for each 16. Escape, which is U+001B
 * and 0x1B in the alphabet, too, is no character that a text can have. */
static const char latin[] =
    "0000000000102100" /* line feed; form feed, extended; return */
    "0000000000000000"
    "1111111111111111" /* space to / */
    "1111111111111111" /* 0 to ? */
    "1111111111111111" /* @ to O */
    "1111111111122221" /* P to Z; [ \ ] ^ extended; _ */
    "0111111111111111" /* no grave accent; a to o */
    "1111111111122220" /* p to z; { | } ~ extended */
    "0000000000000000"
    "0000000000000000"
    "0101110100000000" /* inverted !, pound, currency, yen, section */
    "0000000000000001" /* inverted ? */
    "0000111101000000" /* A with dots, with a ring, AE, C cedilla, E acute */
    "0100001010001001" /* N tilde, O dots, O stroke, U dots, sharp s */
    "1000111011001000" /* a grave, dots, ring, ae, e grave, acute, i grave */
    "0110001011001000"; /* n tilde, o grave, dots, stroke, u grave, dots */

/* Those of U+0390 to U+03AF: the ten capitals that look like no Latin one. */
static const char greek[] =
    "0001100010010010" /* Gamma, Delta, Theta, Lambda, Xi */
    "1001001011000000"; /* Pi, Sigma, Phi, Psi, Omega */

/* How many septets a character takes; 0 if the alphabet lacks it. */
static unsigned septets(uint32_t code) {
  if (code < 0x100) return (unsigned)(latin[code] - '0');
  if (code >= 0x390 && code < 0x3B0)
    return (unsigned)(greek[code - 0x390] - '0');
  return code == 0x20AC ? 2 : 0; /* the euro sign, extended */
}

/* ---- cutting ---- */

/* A text that is cut into segments of one size. */
struct cut {
  size_t size, full; /* full: segments that are over */
  size_t used;       /* units of the current one */
  size_t units;      /* of the text so far */
};

/* A character that does not fit begins the next segment, and leaves a gap. */
static void put(struct cut *cut, unsigned width) {
  if (cut->used + width > cut->size) {
    cut->full++;
    cut->used = 0;
  }
  cut->used += width;
  cut->units += width;
}

/* single: how many units fit without a header. */
static void conclude(struct clo_segments *out, const struct cut *cut,
                     size_t single) {
  int one = cut->units <= single;
  out->units = cut->units;
  out->per_segment = one ? single : cut->size;
  out->segments = one ? cut->units > 0 : cut->full + 1;
  out->remaining = out->per_segment - (one ? cut->units : cut->used);
}

/* ---- what forced UCS-2 ---- */

static void note(struct clo_segments *out, const char *text, size_t at,
                 size_t len) {
  size_t i;
  if (out->forced_count == CLO_FORCED_MAX) return;
  for (i = 0; i < out->forced_count; i++)
    if (out->forced_by[i].len == len &&
        memcmp(text + out->forced_by[i].at, text + at, len) == 0)
      return;
  out->forced_by[i].at = at;
  out->forced_by[i].len = len;
  out->forced_count++;
}

size_t clo_segments_count(const char *text, size_t len,
                          struct clo_segments *out) {
  struct cut gsm = {153, 0, 0, 0}, ucs2 = {67, 0, 0, 0};
  uint32_t code;
  unsigned width;
  size_t i, n;
  out->forced_count = 0;
  for (i = 0; i < len; i += n) {
    n = clo_utf8_read(text + i, len - i, &code);
    if (n == 0) return i;
    width = septets(code);
    if (width == 0)
      note(out, text, i, n);
    else
      put(&gsm, width);
    put(&ucs2, code > 0xFFFF ? 2 : 1);
  }
  out->ucs2 = out->forced_count > 0;
  if (out->ucs2)
    conclude(out, &ucs2, 70);
  else
    conclude(out, &gsm, 160);
  return len;
}
