"""The metrics that gateway and relay have, found in their source, and those that rules and pages name."""

import re

# A metric is made by one of these; the name is its first argument.
MADE = re.compile(
    r"\b(?:counters?|gauges?|histogram|opts|IntCounter::new|IntGauge::new|Opts::new|HistogramOpts::new)\(\s*"
    r'"([a-z][a-z0-9_]*)"'
)
NAMED = re.compile(r"\bfloodgate_[a-z0-9_]+\b")
# What Prometheus adds to a histogram's name.
PARTS = ("_bucket", "_sum", "_count")
# Crates, streams, buckets and marks whose names look like a metric's.
OTHERS = re.compile(
    r"floodgate_(?:event|gateway|relay|sdk|cli|listen|stream|control|snapshot|gateways|handlers|lease|made|restored"
    r"|deliver|routes|replicate|sandbox|backup|api|egress|clock|toolchain|devkit|ingress|json|testkit)\b"
)
# Made for tests, where nobody scrapes them.
FOR_TESTS = {"floodgate_uncounted", "floodgate_unregistered", "floodgate_unregistered_total"}


def in_code(root):
    """Every metric of the programs, with its whole name."""
    found = set()
    for folder in ("gateway/src", "relay/src", "crates"):
        for file in (root / folder).rglob("*.rs"):
            text = file.read_text()
            if "prometheus" not in text:
                continue
            prefix = "floodgate_handler_" if '.subsystem("handler")' in text else "floodgate_"
            # Tests in the file make metrics too.
            for name in MADE.findall(text.partition("#[cfg(test)]")[0]):
                found.add(name if name.startswith("floodgate_") else prefix + name)
    return found - FOR_TESTS


def in_text(text):
    """Every metric that a rule or a page names, without what Prometheus adds to a histogram's."""
    found = set()
    for name in NAMED.findall(text):
        if not OTHERS.fullmatch(name):
            part = next((part for part in PARTS if name.endswith(part)), "")
            found.add(name.removesuffix(part))
    return found
