#include "json.h"

#include <string.h>

#define MAX_DEPTH 128

static bool skip_value(json_text *rest, int depth);

static void advance(json_text *rest, size_t bytes) {
  rest->ptr += bytes;
  rest->len -= bytes;
}

// 0 at the end, which is no character of JSON either.
static uint8_t peek(const json_text *rest) { return rest->len > 0 ? *rest->ptr : 0; }

static bool take(json_text *rest, char character) {
  if (peek(rest) != (uint8_t)character) {
    return false;
  }
  advance(rest, 1);
  return true;
}

static void skip_space(json_text *rest) {
  while (take(rest, ' ') || take(rest, '\n') || take(rest, '\r') || take(rest, '\t')) {
  }
}

// Takes a character after any space.
static bool take_next(json_text *rest, char character) {
  skip_space(rest);
  return take(rest, character);
}

static bool skip_word(json_text *rest, const char *word) {
  size_t len = strlen(word);
  if (rest->len < len || memcmp(rest->ptr, word, len) != 0) {
    return false;
  }
  advance(rest, len);
  return true;
}

static bool is_digit(uint8_t character) { return character >= '0' && character <= '9'; }

static bool is_hex(uint8_t character) {
  uint8_t lower = character | 0x20;
  return is_digit(character) || (lower >= 'a' && lower <= 'f');
}

static bool skip_digits(json_text *rest) {
  const uint8_t *start = rest->ptr;
  while (is_digit(peek(rest))) {
    advance(rest, 1);
  }
  return rest->ptr != start;
}

static bool skip_number(json_text *rest) {
  take(rest, '-');
  if (!take(rest, '0') && !skip_digits(rest)) {
    return false;
  }
  if (take(rest, '.') && !skip_digits(rest)) {
    return false;
  }
  if (take(rest, 'e') || take(rest, 'E')) {
    if (!take(rest, '+')) {
      take(rest, '-');
    }
    return skip_digits(rest);
  }
  return true;
}

// What follows a backslash.
static bool skip_escape(json_text *rest) {
  if (take(rest, 'u')) {
    for (int digit = 0; digit < 4; digit++) {
      if (!is_hex(peek(rest))) {
        return false;
      }
      advance(rest, 1);
    }
    return true;
  }
  uint8_t character = peek(rest);
  if (character == 0 || strchr("\"\\/bfnrt", character) == NULL) {
    return false;
  }
  advance(rest, 1);
  return true;
}

static bool skip_string(json_text *rest) {
  if (!take(rest, '"')) {
    return false;
  }
  while (rest->len > 0 && *rest->ptr >= ' ') {
    if (take(rest, '"')) {
      return true;
    }
    if (take(rest, '\\')) {
      if (!skip_escape(rest)) {
        return false;
      }
    } else {
      advance(rest, 1);
    }
  }
  return false;
}

static bool skip_member(json_text *rest, int depth) {
  skip_space(rest);
  return skip_string(rest) && take_next(rest, ':') && skip_value(rest, depth);
}

static bool skip_list(json_text *rest, char end, int depth, bool (*skip)(json_text *, int)) {
  if (depth >= MAX_DEPTH) {
    return false;
  }
  advance(rest, 1);
  if (take_next(rest, end)) {
    return true;
  }
  do {
    if (!skip(rest, depth + 1)) {
      return false;
    }
  } while (take_next(rest, ','));
  return take(rest, end);
}

static bool skip_value(json_text *rest, int depth) {
  skip_space(rest);
  switch (peek(rest)) {
    case '{':
      return skip_list(rest, '}', depth, skip_member);
    case '[':
      return skip_list(rest, ']', depth, skip_value);
    case '"':
      return skip_string(rest);
    case 't':
      return skip_word(rest, "true");
    case 'f':
      return skip_word(rest, "false");
    case 'n':
      return skip_word(rest, "null");
    default:
      return skip_number(rest);
  }
}

// Takes a value and says where it was, without the space around it.
static bool take_value(json_text *rest, json_text *value) {
  skip_space(rest);
  value->ptr = rest->ptr;
  bool taken = skip_value(rest, 0);
  value->len = (size_t)(rest->ptr - value->ptr);
  return taken;
}

json_text json_without_bom(json_text text) {
  skip_word(&text, "\xef\xbb\xbf");
  return text;
}

bool json_is_object(json_text text) {
  json_text value;
  if (!take_value(&text, &value) || *value.ptr != '{') {
    return false;
  }
  skip_space(&text);
  return text.len == 0;
}

bool json_is_empty(json_text object) { return take_next(&object, '{') && take_next(&object, '}'); }

bool json_member(json_text object, json_text name, json_text *value) {
  if (!take_next(&object, '{')) {
    return false;
  }
  json_text found;
  do {
    if (!take_value(&object, &found) || !json_unquote(&found) || !take_next(&object, ':') ||
        !take_value(&object, value)) {
      return false;
    }
    if (json_same(found, name)) {
      return true;
    }
  } while (take_next(&object, ','));
  return false;
}

bool json_next(json_text *list, json_text *value) {
  return (take_next(list, '[') || take_next(list, ',')) && take_value(list, value);
}

bool json_unquote(json_text *value) {
  if (value->len < 2 || *value->ptr != '"') {
    return false;
  }
  value->ptr += 1;
  value->len -= 2;
  return true;
}

bool json_same(json_text one, json_text other) {
  return one.len == other.len && memcmp(one.ptr, other.ptr, one.len) == 0;
}
