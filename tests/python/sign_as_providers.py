"""Signs requests with the providers' own public libraries.

Reads [{"scheme": "stripe", "secret": "…", "url": "https://…", "body": "…"}, …] on standard input and prints
[{"headers": {…}}, …] in the same order, signed now.
"""

import json
import sys
import time
from datetime import datetime, timezone
from urllib.parse import parse_qsl

import stripe
from slack_sdk.signature import SignatureVerifier
from standardwebhooks import Webhook
from twilio.request_validator import RequestValidator


def by_stripe(request, now):
    return {"stripe-signature": stripe.WebhookSignature.generate_signature_header(request["body"], request["secret"], now)}


def by_slack(request, now):
    signature = SignatureVerifier(request["secret"]).generate_signature(timestamp=str(now), body=request["body"])
    return {"x-slack-request-timestamp": str(now), "x-slack-signature": signature}


def by_twilio(request, now):
    parameters = dict(parse_qsl(request["body"], keep_blank_values=True))
    signature = RequestValidator(request["secret"]).compute_signature(request["url"], parameters)
    return {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}


def by_standard(request, now, prefix="webhook"):
    identity, at = f"msg_{now}", datetime.fromtimestamp(now, timezone.utc)
    signature = Webhook(request["secret"]).sign(identity, at, request["body"])
    return {f"{prefix}-id": identity, f"{prefix}-timestamp": str(now), f"{prefix}-signature": signature}


SIGN = {
    "stripe": by_stripe,
    "slack": by_slack,
    "twilio": by_twilio,
    "standard": by_standard,
    "svix": lambda request, now: by_standard(request, now, "svix"),
}


def main() -> None:
    now = int(time.time())
    requests = json.load(sys.stdin)
    json.dump([{"headers": SIGN[request["scheme"]](request, now)} for request in requests], sys.stdout)


main()
