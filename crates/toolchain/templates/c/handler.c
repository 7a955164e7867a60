// The handler {{name}}.

#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "json.h"

#define TEXT(literal) ((json_text){(const uint8_t *)(literal), sizeof(literal) - 1})
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static json_text text_of(guest_string_t string) { return (json_text){string.ptr, string.len}; }

static bool is_listed(json_text list, json_text wanted) {
  json_text value;
  while (json_next(&list, &value)) {
    if (json_unquote(&value) && json_same(value, wanted)) {
      return true;
    }
  }
  return false;
}

static guest_list_u8_t joined(const json_text *pieces, size_t count) {
  size_t len = 0;
  for (size_t i = 0; i < count; i++) {
    len += pieces[i].len;
  }
  uint8_t *bytes = malloc(len), *at = bytes;
  if (bytes == NULL) {
    abort();
  }
  for (size_t i = 0; i < count; i++) {
    memcpy(at, pieces[i].ptr, pieces[i].len);
    at += pieces[i].len;
  }
  return (guest_list_u8_t){bytes, len};
}

// The body with a member of this name and value: one that it has is replaced, a new one comes first. A region's name
// needs no escapes.
static guest_list_u8_t stamped(json_text body, json_text name, json_text region) {
  const uint8_t *end = body.ptr + body.len;
  json_text old;
  if (json_member(body, name, &old)) {
    json_text before = {body.ptr, (size_t)(old.ptr - body.ptr)};
    json_text after = {old.ptr + old.len, (size_t)(end - old.ptr) - old.len};
    json_text pieces[] = {before, TEXT("\""), region, TEXT("\""), after};
    return joined(pieces, COUNT(pieces));
  }
  const uint8_t *members = (const uint8_t *)memchr(body.ptr, '{', body.len) + 1;
  json_text rest = {members, (size_t)(end - members)};
  json_text comma = json_is_empty(body) ? TEXT("") : TEXT(",");
  json_text pieces[] = {TEXT("{\""), name, TEXT("\":\""), region, TEXT("\""), comma, rest};
  return joined(pieces, COUNT(pieces));
}

// Called for each event, on a fresh instance: nothing is remembered from one to the next. True with an outcome, or false
// with an error; what either holds is allocated.
//
// `params` is what the source's configuration says: `drop_types`, event types that nobody wants, and `stamp`, the member
// of the body to write the event's region to; without it, bodies stay as they are.
bool exports_guest_handle(guest_event_t *event, guest_outcome_t *outcome, guest_string_t *error) {
  json_text params = text_of(event->params);
  json_text body = json_without_bom((json_text){event->body.ptr, event->body.len});
  json_text list, stamp;
  if (json_member(params, TEXT("drop_types"), &list) && is_listed(list, text_of(event->type))) {
    outcome->tag = FLOODGATE_HANDLER_TYPES_OUTCOME_DROP;
    guest_string_dup(&outcome->val.drop, "not wanted");
    return true;
  }
  if (!json_member(params, TEXT("stamp"), &stamp) || !json_unquote(&stamp)) {
    outcome->tag = FLOODGATE_HANDLER_TYPES_OUTCOME_PASS;
    return true;
  }
  if (!json_is_object(body)) {
    guest_string_dup(error, "the body is not a JSON object");
    return false;
  }
  *outcome = (guest_outcome_t){.tag = FLOODGATE_HANDLER_TYPES_OUTCOME_CHANGE};
  outcome->val.change.body.is_some = true;
  outcome->val.change.body.val = stamped(body, stamp, text_of(event->region));
  return true;
}
