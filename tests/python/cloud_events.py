"""Writes CloudEvents as HTTP requests with the public library of the CloudEvents project.

Reads [{"attributes": {"id": "…", "source": "…", "type": "…"}, "data": …}, …] on standard input and prints
[{"binary": {"headers": {…}, "body": "…"}, "structured": {…}}, …] in the same order.
"""

import json
import sys

from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent


def message(written):
    return {"headers": written.headers, "body": written.body.decode()}


def main() -> None:
    events = [CloudEvent(event["attributes"], event["data"]) for event in json.load(sys.stdin)]
    messages = [{"binary": message(to_binary_event(event)), "structured": message(to_structured_event(event))} for event in events]
    json.dump(messages, sys.stdout)


main()
