"""Checks the signatures of deliveries with the public Standard Webhooks library.

Reads {"secret": "whsec_…", "deliveries": [{"headers": {…}, "body_b64": "…"}, …]} on standard input and prints
{"verified": n, "refused": [index, …], "altered_refused": n}: each delivery is tried as it came, and once more with a
byte added, which the library must refuse.
"""

import base64
import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError


def accepts(webhook: Webhook, body: bytes, headers: dict) -> bool:
    try:
        webhook.verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


def main() -> None:
    given = json.load(sys.stdin)
    webhook = Webhook(given["secret"])
    refused, altered_refused = [], 0
    for index, delivery in enumerate(given["deliveries"]):
        body = base64.b64decode(delivery["body_b64"])
        if not accepts(webhook, body, delivery["headers"]):
            refused.append(index)
        if not accepts(webhook, body + b" ", delivery["headers"]):
            altered_refused += 1
    verified = len(given["deliveries"]) - len(refused)
    json.dump({"verified": verified, "refused": refused, "altered_refused": altered_refused}, sys.stdout)


main()
