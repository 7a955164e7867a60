#!/usr/bin/env python3
"""What paths.py must find: names that a small tree has, and names that it has not."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from paths import Tree, check

SOURCES = {
    "Makefile": "bench:\n\techo\n",
    "crates/stream/src/lease.rs": 'pub struct Lease;\nimpl Lease {\n    pub fn renew(&self) {}\n}\nfn pause() {}\nfn a_lease_that_is_lost_ends() {}\n',
    "relay/src/metrics.rs": 'const NAME: &str = "floodgate_blocks_total";\ncounter("queue_bytes");\n',
    "scripts/setup.sh": "fetch() {\n    true\n}\n",
}
KNOWN = [
    "`crates/stream/src/lease.rs`",
    "`crates/stream/`",
    "`crates/*/src/lease.rs`",
    "`crates/stream/src/lease.rs`\n`Lease::renew`",
    "`crates/stream/src/lease.rs` `pause`",
    "`crates/stream/src/lease.rs`'s `Lease::renew`",
    "`scripts/setup.sh` `fetch`",
    "`Lease::renew`",
    "`pause()`",
    "`a_lease_that_is_lost_ends`",
    "`Lease`",
    "`floodgate_blocks_total` and `floodgate_queue_bytes`",
    "`make bench`",
    "`a_setting` is no function, nor is `crates/stream/src/lease.rs`, `a_setting`",
    "`/v1/books`, `application/json`, `.floodgate/dev/ready.json`, `Content-Type`, `$KV`",
    "```text\n`gone/away.rs`\n```",
]
MISSING = {
    "`crates/stream/src/gone.rs`": "no file crates/stream/src/gone.rs",
    "`crates/gone/`": "no folder crates/gone/",
    "`crates/stream/src/lease.rs` `gone`": "no function gone in crates/stream/src/lease.rs",
    "`crates/stream/src/lease.rs`\n`Lease::gone`": "no function Lease::gone in crates/stream/src/lease.rs",
    "`Lease::gone`": "no function Lease::gone",
    "`Gone::renew`": "no function Gone::renew",
    "`relay/src/metrics.rs` `Lease::renew`": "no function Lease::renew in relay/src/metrics.rs",
    "`a_lease_that_is_gone_ends`": "no test a_lease_that_is_gone_ends",
    "`gone()`": "no function gone()",
    "`GoneType`": "no type GoneType",
    "`floodgate_gone_total`": "no floodgate_gone_total in the source",
    "`make gone`": "no target gone in the Makefile",
}


class Names(unittest.TestCase):
    """Each text is a page of its own."""

    def setUp(self):
        made = tempfile.TemporaryDirectory(prefix="floodgate-paths-")
        self.addCleanup(made.cleanup)
        root = Path(made.name)
        for name, text in SOURCES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        self.tree = Tree(root, SOURCES)

    def test_what_exists_is_found(self):
        for text in KNOWN:
            with self.subTest(text):
                self.assertEqual(list(check(self.tree, text, True)), [])

    def test_what_is_missing_is_said_with_its_line(self):
        for text, wrong in MISSING.items():
            with self.subTest(text):
                line = 1 + 1 + text.count("\n")
                self.assertEqual(list(check(self.tree, "\n" + text, True)), [(line, wrong)])

    def test_other_pages_are_held_to_files_alone(self):
        text = "`GoneType`, `gone()`, `crates/stream/src/gone.rs`"
        self.assertEqual(list(check(self.tree, text, False)), [(1, "no file crates/stream/src/gone.rs")])


if __name__ == "__main__":
    unittest.main()
