"""Waiting with an end."""

import time


class Failed(Exception):
    """What a scenario promised did not hold."""


def require(holds, text):
    if not holds:
        raise Failed(text)


def until(what, condition, seconds, every=0.1):
    """Waits until the condition gives something true, and gives that back."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s until {what}")
        time.sleep(every)
