#!/usr/bin/env python3
"""What run.py must find: a page with each fault, planted, beside a page without any."""

import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import book_links
import documents
import shell
from blocks import Unmarked, extract
from links import anchors, slug

RUN = Path(__file__).with_name("run.py")
PROGRAM = sys.argv[1:]
del sys.argv[1:]


def fenced(info, text):
    return f"```{info}\n{text}\n```\n"


class Planted(unittest.TestCase):
    """Each test writes a small repository and runs run.py over it."""

    def setUp(self):
        made = tempfile.TemporaryDirectory(prefix="floodgate-docs-self-")
        self.addCleanup(made.cleanup)
        self.root = Path(made.name)
        (self.root / "docs").mkdir()
        self.write("README.md", "# Front\n")

    def write(self, name, text):
        (self.root / name).write_text(text)

    def run_docs(self, *more):
        program = ["--bin", *PROGRAM] if PROGRAM else []
        command = [sys.executable, str(RUN), "--root", str(self.root), *program, *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        return done.returncode, done.stdout + done.stderr

    def refuses(self, page, words):
        self.write("docs/page.md", page)
        status, said = self.run_docs()
        self.assertEqual(status, 1, said)
        self.assertIn(words, said)

    def test_a_good_page_is_counted(self):
        self.write(
            "docs/page.md",
            "# Page\n\n[here](#page), [front](../README.md#front)\n\n"
            + fenced("sh,run", "word=kept\nexport word")
            + fenced("sh,run", '[ "$word" = kept ]')
            + fenced("json,check,file=note.json", '{"a": 1}')
            + fenced("sh,run", "grep -q a note.json")
            + fenced("toml,gateway", "[limits]\nmax_connections = 20")
            + fenced("sh,ignore", "ssh elsewhere")
            + fenced("text", "what it prints"),
        )
        status, said = self.run_docs()
        self.assertEqual(status, 0, said)
        self.assertIn("3 blocks run, 2 parsed, 1 not run", said)

    def test_an_unmarked_block(self):
        self.refuses(fenced("sh", "true"), "docs/page.md:1: say what a test does with it")

    def test_a_block_without_a_language(self):
        self.refuses(fenced("", "true"), "a block needs a language")

    def test_an_unknown_mode(self):
        self.refuses(fenced("json,run", "{}"), "`run` is not for json")

    def test_a_failing_block_names_its_line_and_shows_its_output(self):
        self.refuses("text\n\n" + fenced("sh,run", "echo it was this >&2\nfalse\ntrue"), "line 3: it was this")

    def test_a_hidden_check_that_fails(self):
        self.refuses("<!-- run\necho hidden\nfalse\n-->\n", "line 1: hidden")

    def test_a_block_that_ends_the_shell(self):
        self.refuses(fenced("sh,run", "exit 0"), "exit status 0")

    def test_json_that_does_not_parse(self):
        self.refuses(fenced("json,check", "{,}"), "docs/page.md:1:")

    def test_a_shell_block_that_does_not_parse(self):
        self.refuses(fenced("sh,check", "if true"), "docs/page.md:1:")

    def test_a_key_that_the_gateway_does_not_know(self):
        self.refuses(fenced("toml,gateway", "[limits]\nmax_conections = 20"), "unknown field `max_conections`")

    def test_a_key_that_the_relay_does_not_know(self):
        self.refuses(fenced("toml,relay", "lease = { second = 20 }"), "unknown field `second`")

    def test_a_document_that_the_api_refuses(self):
        self.refuses(fenced("toml,apply", "[sources.orders]\nverify = { scheme = \"none\" }"), "scheme")

    def test_a_link_to_nothing(self):
        self.refuses("[gone](gone.md)\n", "docs/page.md:1: (gone.md) no file gone.md")

    def test_an_anchor_to_nothing(self):
        self.refuses("# Page\n\n[x](#pages)\n", "no heading #pages in docs/page.md")

    def test_a_page_that_the_book_does_not_have(self):
        self.write("docs/SUMMARY.md", "# Summary\n\n[Later]()\n")
        self.refuses("# Page\n", "docs/page.md: not in docs/SUMMARY.md")

    def test_a_front_page_that_grew(self):
        self.write("README.md", "\n" * 151)
        self.refuses("# Page\n", "README.md: 151 lines")


class Parts(unittest.TestCase):
    """The parts alone."""

    def test_a_block_that_does_not_end_is_ended(self):
        with tempfile.TemporaryDirectory() as folder:
            run = shell.Shell(Path(folder), {"PATH": "/usr/bin:/bin"})
            begin = time.monotonic()
            with self.assertRaisesRegex(shell.Failed, "more than 1 s"):
                run.run("sleep 60 & sleep 60", 1)
            run.stop()
            self.assertLess(time.monotonic() - begin, 10)
            time.sleep(0.2)
            listed = subprocess.run(["ps", "-o", "stat=", "-s", str(run.process.pid)], capture_output=True, text=True)
            self.assertEqual([state for state in listed.stdout.split() if not state.startswith("Z")], [])

    def test_a_block_that_is_never_closed(self):
        with self.assertRaises(Unmarked):
            extract(Path("page.md"), "```sh,run\ntrue\n")

    def test_anchors_are_those_of_github(self):
        self.assertEqual(slug("`sync_interval: always`, and **why**"), "sync_interval-always-and-why")
        self.assertEqual(slug("[Set aside](x.md)"), "set-aside")
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.md"
            page.write_text("# A b\n## A b\n```text\n# no\n```\n")
            self.assertEqual(anchors(page), {"a-b", "a-b-1"})

    def test_links_of_the_book_that_leave_it_lead_to_the_repository(self):
        text = "[a](../sdk/wit/handler.wit) [b](concepts.md#lane) [c](https://x.test/y) [d](#e)\n"
        rewritten = book_links.rewrite(text, "handlers.md", "https://r.test")
        self.assertEqual(rewritten, text.replace("../sdk", "https://r.test/blob/main/sdk"))

    def test_handlers_that_a_document_binds(self):
        text = 'handlers = [{ name = "trim", version = 3 }, { name = "redact" }]\n[[sources.a.handlers]]\nname = "c"\n'
        self.assertEqual(list(documents.bound(text)), [("trim", 3), ("redact", 1), ("c", 1)])


if __name__ == "__main__":
    unittest.main()
