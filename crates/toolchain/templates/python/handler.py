"""The handler {{name}}.

Import everything here at the top: it is loaded when the component is built, and a gateway has no files to load from.
"""

from floodgate import Event, Outcome, change, drop, json_of, passed


def handler(event: Event, params: dict) -> Outcome:
    """Called for each event, on a fresh instance: nothing is remembered from one to the next.

    `params` is what the source's configuration says: `drop_types`, event types that nobody wants, and `stamp`, the
    member of the body to write the event's region to; without it, bodies stay as they are.
    """
    if event.type in params.get("drop_types", []):
        return drop("not wanted")
    stamp = params.get("stamp")
    if stamp is None:
        return passed()
    body = object_of(event)
    body[stamp] = event.region
    return change(body=body)


def object_of(event: Event) -> dict:
    try:
        body = json_of(event)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")
    return body
