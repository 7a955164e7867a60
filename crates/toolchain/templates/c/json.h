// Reads JSON (RFC 8259) where it lies: finds values in a text without copying any. Strings are compared as they are
// written, escapes included; whether they are UTF-8 is not looked at.
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A piece of a text.
typedef struct {
  const uint8_t *ptr;
  size_t len;
} json_text;

// The text without its byte order mark, if it has one: readers may ignore it.
json_text json_without_bom(json_text text);

// Whether the text is one object, well formed and not deeper than 128.
bool json_is_object(json_text text);

// Whether an object that is well formed has no members.
bool json_is_empty(json_text object);

// Finds the value of a member of an object that is well formed.
bool json_member(json_text object, json_text name, json_text *value);

// Takes the next value off a list that is well formed; the list is the text of an array at first.
bool json_next(json_text *list, json_text *value);

// Takes the quotes off a string; false if it is none.
bool json_unquote(json_text *value);

// Whether both are the same bytes.
bool json_same(json_text one, json_text other);

#endif
