/* A reader in one pass, for speed: lua-cjson's tables grow as they are filled,
 * and its nulls and numbers have to be replaced afterwards. It knows what Close
 * sends, and leaves all else, right or wrong, to lua-cjson. A member that is
 * null is left out. */
#include "lclo_json.h"

#include <stddef.h>
#include <string.h>

#define MOST_DEPTH 24
#define MOST_DIGITS 15 /* a double has every whole number of so many */
#define ON_STACK 32    /* members of an object before there is its table */
#define ROOM (2 * ON_STACK + LUA_MINSTACK)

struct reader {
  lua_State *L;
  const char *at, *end;
};

static int read_value(struct reader *r, int depth);

static void skip_blanks(struct reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' ||
                            *r->at == '\r' || *r->at == '\t'))
    r->at++;
}

/* Whether the next byte, after blanks, is c; if so, moves past it. */
static int take(struct reader *r, char c) {
  skip_blanks(r);
  if (r->at == r->end || *r->at != c) return 0;
  r->at++;
  return 1;
}

static int take_word(struct reader *r, const char *word) {
  size_t len = strlen(word);
  if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0) return 0;
  r->at += len;
  return 1;
}

/* Eight times the same byte; whether one of eight bytes is below another, which
 * is at most 128. */
#define EACH(byte) (~0ULL / 255 * (byte))
#define HAS_BELOW(bytes, byte) (((bytes) - EACH(byte)) & ~(bytes) & EACH(0x80))

/* Moves to what ends a run of ordinary bytes: a quote, a backslash, a control
 * character or the end. Takes eight bytes at a time while it can. */
static void skip_ordinary(struct reader *r) {
  const char *at = r->at, *end = r->end;
  unsigned long long bytes;
  for (; end - at >= (ptrdiff_t)sizeof bytes; at += sizeof bytes) {
    memcpy(&bytes, at, sizeof bytes);
    if (HAS_BELOW(bytes, ' ') || HAS_BELOW(bytes ^ EACH('"'), 1) ||
        HAS_BELOW(bytes ^ EACH('\\'), 1))
      break;
  }
  while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= ' ')
    at++;
  r->at = at;
}

static long read_hex(struct reader *r) {
  long code = 0;
  int i;
  if (r->end - r->at < 4) return -1;
  for (i = 0; i < 4; i++) {
    char c = *r->at++;
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return -1;
    code = code * 16 + digit;
  }
  return code;
}

/* The character of an escape such as \u00e9, or of a pair of them, whose "\u"
 * was read; -1 for half a pair. */
static long read_unicode(struct reader *r) {
  long high = read_hex(r), low;
  if (high < 0xD800 || high > 0xDFFF) return high;
  if (high > 0xDBFF || !take_word(r, "\\u")) return -1;
  low = read_hex(r);
  if (low < 0xDC00 || low > 0xDFFF) return -1;
  return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

static void add_utf8(luaL_Buffer *b, long code) {
  if (code < 0x80) {
    luaL_addchar(b, (char)code);
    return;
  }
  if (code < 0x800) {
    luaL_addchar(b, (char)(0xC0 | code >> 6));
  } else {
    if (code < 0x10000) {
      luaL_addchar(b, (char)(0xE0 | code >> 12));
    } else {
      luaL_addchar(b, (char)(0xF0 | code >> 18));
      luaL_addchar(b, (char)(0x80 | (code >> 12 & 0x3F)));
    }
    luaL_addchar(b, (char)(0x80 | (code >> 6 & 0x3F)));
  }
  luaL_addchar(b, (char)(0x80 | (code & 0x3F)));
}

/* Adds what an escape stands for, whose backslash was read. */
static int add_escaped(struct reader *r, luaL_Buffer *b) {
  static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
  const char *found;
  long code;
  if (r->at == r->end) return 0;
  if (*r->at == 'u') {
    r->at++;
    if ((code = read_unicode(r)) < 0) return 0;
    add_utf8(b, code);
    return 1;
  }
  found = memchr(letters, *r->at, sizeof letters - 1);
  if (!found) return 0;
  r->at++;
  luaL_addchar(b, meant[found - letters]);
  return 1;
}

/* Pushes the rest of a string that has an escape at r->at. */
static int read_escaped(struct reader *r, const char *from) {
  luaL_Buffer b;
  luaL_buffinit(r->L, &b);
  while (r->at < r->end && *r->at == '\\') {
    luaL_addlstring(&b, from, (size_t)(r->at - from));
    r->at++;
    if (!add_escaped(r, &b)) return 0;
    from = r->at;
    skip_ordinary(r);
  }
  if (r->at == r->end || *r->at != '"') return 0;
  luaL_addlstring(&b, from, (size_t)(r->at++ - from));
  luaL_pushresult(&b);
  return 1;
}

/* Pushes a string whose first quote was read. */
static int read_string(struct reader *r) {
  const char *from = r->at;
  skip_ordinary(r);
  if (r->at == r->end) return 0;
  if (*r->at == '\\') return read_escaped(r, from);
  if (*r->at != '"') return 0;
  lua_pushlstring(r->L, from, (size_t)(r->at++ - from));
  return 1;
}

/* Pushes a whole number of a few digits. */
static int read_number(struct reader *r) {
  int is_negative = *r->at == '-', digits;
  const char *first = r->at += is_negative;
  double number = 0;
  while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
    number = number * 10 + (*r->at++ - '0');
  digits = r->at - first > MOST_DIGITS ? 0 : (int)(r->at - first);
  if (!digits || (*first == '0' && (digits > 1 || is_negative))) return 0;
  if (r->at < r->end && (*r->at == '.' || *r->at == 'e' || *r->at == 'E'))
    return 0;
  lclo_pushnumber(r->L, is_negative ? -number : number);
  return 1;
}

/* Makes the table of the members that lie on the stack above base. */
static void gather(lua_State *L, int base, int count, int room) {
  int i;
  lua_createtable(L, 0, room);
  for (i = 1; i <= 2 * count; i += 2) {
    lua_pushvalue(L, base + i);
    lua_pushvalue(L, base + i + 1);
    lua_rawset(L, -3);
  }
  if (count > 0) lua_replace(L, base + 1);
  lua_settop(L, base + 1);
}

/* Reads a member up to its value. Pushes its name, or reads its null and pushes
 * nothing. Returns 0 where it is not plain; otherwise *is_null says which. */
static int read_name(struct reader *r, int *is_null) {
  const char *from;
  size_t len;
  if (!take(r, '"')) return 0;
  from = r->at;
  skip_ordinary(r);
  len = (size_t)(r->at - from);
  if (!take_word(r, "\"") || !take(r, ':')) return 0; /* as for an escape */
  skip_blanks(r);
  *is_null = take_word(r, "null");
  if (!*is_null) lua_pushlstring(r->L, from, len);
  return 1;
}

/* Pushes an object whose brace was read. Its first members stay on the stack
 * until it is known how many there are. */
static int read_object(struct reader *r, int depth) {
  lua_State *L = r->L;
  int base = lua_gettop(L), count = 0, is_null;
  if (take(r, '}')) {
    lua_newtable(L);
    return 1;
  }
  do {
    if (!read_name(r, &is_null)) return 0;
    if (is_null) continue;
    if (!read_value(r, depth)) return 0;
    if (++count > ON_STACK)
      lua_rawset(L, base + 1);
    else if (count == ON_STACK)
      gather(L, base, count, 2 * ON_STACK);
  } while (take(r, ','));
  if (count < ON_STACK) gather(L, base, count, count);
  return take(r, '}');
}

/* Pushes an array whose bracket was read. */
static int read_array(struct reader *r, int depth) {
  int i = 1;
  lua_newtable(r->L);
  if (take(r, ']')) return 1;
  do {
    skip_blanks(r);
    if (take_word(r, "null")) continue;
    if (!read_value(r, depth)) return 0;
    lua_rawseti(r->L, -2, i);
  } while (i++, take(r, ','));
  return take(r, ']');
}

/* Pushes a value other than null, which begins at r->at. */
static int read_value(struct reader *r, int depth) {
  char c = r->at < r->end ? *r->at : '\0';
  if (c == '"') {
    r->at++;
    return read_string(r);
  }
  if (c == '{' || c == '[') {
    if (depth == MOST_DEPTH || !lua_checkstack(r->L, ROOM)) return 0;
    r->at++;
    return c == '{' ? read_object(r, depth + 1) : read_array(r, depth + 1);
  }
  if (c == 't' || c == 'f') {
    lua_pushboolean(r->L, c == 't');
    return take_word(r, c == 't' ? "true" : "false");
  }
  return c != '\0' && read_number(r);
}

int lclo_plain_json(lua_State *L) {
  struct reader r;
  size_t len;
  int is_object;
  r.at = luaL_checklstring(L, 1, &len);
  r.end = r.at + len;
  r.L = L;
  lua_settop(L, 1);
  skip_blanks(&r);
  is_object = r.at < r.end && *r.at == '{';
  if (!is_object && (r.at == r.end || *r.at != '[')) return 0;
  if (!read_value(&r, 0)) return 0;
  skip_blanks(&r);
  if (r.at != r.end) return 0;
  lua_pushboolean(L, is_object);
  return 2;
}
