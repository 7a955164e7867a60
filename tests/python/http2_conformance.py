"""Judges a server's HTTP/2 by frames that no client library would send, and prints one JSON document.

The frames are written here; what comes back is read by hyperframe and hpack, which share no code with the server.
"""

import argparse
import json

import http2_cases
import http2_frames
import http2_messages
from http2_differences import DIFFERENCES


def run(case: http2_cases.Case, port: int, authority: str) -> str:
    """Sends a case's frames and then a request that shows whether the connection goes on."""
    connection = http2_frames.Connection(port, authority)
    live = http2_frames.headers(http2_frames.request(), stream=http2_frames.LIVE)
    connection.send(case.start + case.sent + live)
    return connection.watch(case.stream, http2_frames.LIMIT).outcome(case.stream)


def judge(case: http2_cases.Case, outcome: str) -> list[str]:
    """What is wrong with an outcome."""
    section = case.section if "§" in case.section else f"9113 §{case.section}"
    instead = DIFFERENCES.get(case.name)
    if instead in case.allowed():
        return [f"{case.name} (RFC {section}): the difference is none"]
    if outcome in ({instead} if instead else case.allowed()):
        return []
    return [f"{case.name} (RFC {section}): {instead or case.expected} was expected, and it was {outcome}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--authority", required=True, help="the certificate to trust, as PEM")
    parser.add_argument("--only", nargs="*", default=[], help="the names of cases")
    options = parser.parse_args()
    cases = [*http2_cases.ALL, *http2_messages.MESSAGES]
    names = [case.name for case in cases]
    failures = [f"{name}: is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    failures += [f"{name}: differs, and is no case" for name in DIFFERENCES if name not in names]
    for case in cases:
        if options.only and case.name not in options.only:
            continue
        outcome = run(case, options.port, options.authority)
        failures += judge(case, outcome)
    print(json.dumps({"cases": len(cases), "differing": len(DIFFERENCES), "failures": failures}))


if __name__ == "__main__":
    main()
