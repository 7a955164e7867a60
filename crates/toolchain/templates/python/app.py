"""What the gateway calls: it leads to the handler. An error becomes the event's fault; uncaught, it would be a trap."""

import json

import wit_world
from componentize_py_types import Err

from handler import handler


class WitWorld(wit_world.WitWorld):
    def handle(self, event):
        try:
            return handler(event, json.loads(event.params))
        except Exception as error:
            raise Err(str(error) or type(error).__name__) from error
