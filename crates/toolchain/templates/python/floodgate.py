"""What a handler reads and answers: the types of wit/handler.wit in Python's terms.

`wit_world` is made by componentize-py while it builds; `.venv/bin/componentize-py -d wit -w guest bindings DIR` writes
it to a folder for editors and type checkers.
"""

import json
from typing import Any

from wit_world.imports import request, types
from wit_world.imports.types import Event, Lane, Outcome

__all__ = ["Event", "Lane", "Outcome", "change", "drop", "json_of", "passed", "request_of", "respond", "split"]

Headers = list[tuple[str, bytes | str]]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def json_of(event: Event) -> Any:
    """The body read as JSON; raises ValueError if it is not.

    It is decoded here: `json.loads` would import a codec for bytes that begin with a byte order mark, and a gateway has
    no files to import from. Halves of surrogate pairs stay as they are, as Python's strings can hold them.
    """
    return json.loads(event.body.removeprefix(BYTE_ORDER_MARK).decode())


def request_of() -> request.Request:
    """The rest of the event: `method`, `path`, `query` and `headers`, pairs of name and bytes."""
    return request.get()


def passed() -> Outcome:
    """Go on, unchanged."""
    return types.Outcome_Pass()


def drop(reason: str) -> Outcome:
    """Keep a record with this reason, and deliver nothing."""
    return types.Outcome_Drop(reason)


def change(body: Any = None, type: str | None = None, lane: Lane | None = None, headers: Headers = []) -> Outcome:
    """Go on, changed; what is left out stays as it is."""
    new = None if body is None else encoded(body)
    return types.Outcome_Change(types.Change(new, type, lane, pairs(headers)))


def split(children: list[tuple[str | None, Any]]) -> Outcome:
    """Go on with these events instead: pairs of type (the parent's if None) and body."""
    return types.Outcome_Split([types.Child(type, encoded(body)) for type, body in children])


def respond(status: int, headers: Headers = [], body: Any = b"", deliver: bool = False) -> Outcome:
    """Answer the sender, keep a record, and deliver nothing unless asked to."""
    return types.Outcome_Respond(types.Response(status, pairs(headers), encoded(body), deliver))


def pairs(headers: Headers) -> list[tuple[str, bytes]]:
    return [(name, encoded(value)) for name, value in headers]


def encoded(value: Any) -> bytes:
    """Bytes and text as they are, anything else as JSON."""
    if isinstance(value, bytes):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # Half of a surrogate pair has no UTF-8; written as `\ud83d` it is what JSON calls it.
    return text.encode(errors="backslashreplace")
