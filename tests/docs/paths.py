#!/usr/bin/env python3
"""Checks that what the documentation names in the source exists: files, functions, types, metrics, make targets.

    tests/docs/paths.py            every page
    tests/docs/paths.py --pages    says which pages are checked in full

In the pages of IN_FULL each code span is checked by its form:

    `crates/stream/src/append.rs`   a file; `crates/stream/` a folder; from the repository's root
    `Lease::renew`                  a function of that type
    `serve()`                       a function
    `a/file.rs` `serve`             a function of the file before it, as `a/file.rs` `Lease::renew` is
    `FencedAppender`                a type, or a name that a format has
    `no_2xx_from_a_full_stream`     a test: a name of many words
    `floodgate_blocks_total`        a metric, a bucket or another name that stands in the source
    `make bench`                    a target of the Makefile

In other pages only files are checked. Exit status 1 if anything is missing.
"""

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from blocks import outside_code

IN_FULL = ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/decisions/*.md", "docs/formats.md"]
ENDINGS = "rs|py|sh|toml|md|proto|wit|json|tf|tftpl|service|timer|yml|snap|txt|conf|cfg|svg"
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
FILE = re.compile(rf"^[\w.-]+(?:/[\w.*-]+)+\.(?:{ENDINGS})$")
FOLDER = re.compile(r"^[\w.-]+(?:/[\w.-]+)*/$")
METHOD = re.compile(r"^([A-Z]\w*)::([a-z_]\w*)(?:\(\))?$")
FUNCTION = re.compile(r"^([a-z_][a-z0-9_]*)\(\)$")
BARE = re.compile(r"^[a-z_][a-z0-9_]*$")
SENTENCE = re.compile(r"^[a-z0-9]+(?:_[a-z0-9]+){4,}$")
TYPE = re.compile(r"^[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)*$")
METRIC = re.compile(r"^(?:floodgate|FLOODGATE)_\w+$")
TARGET = re.compile(r"^(?:HOSTS_SHORT=1 )?make ([a-z-]+)$")
# Between a file and a name of that file there is nothing but a space or a possessive.
BETWEEN = re.compile(r"^(?:'s)?\s+$")
# What a machine has once something ran, and what only looks like a folder.
NOT_IN_THE_TREE = re.compile(r"^(?:\.floodgate|\.tools|target|build|templates|floodgate/\w+)/|^floodgate/event/")


class Tree:
    """What the repository holds: the files that git knows, and the text of its sources."""

    def __init__(self, root, files):
        self.root = root
        self.files = set(files)
        self.folders = {str(parent) + "/" for file in self.files for parent in Path(file).parents}
        self.texts = {file: self._read(file) for file in self.files if Path(file).suffix in (".rs", ".proto")}
        self.scripts = "\n".join(self._read(file) for file in self.files if Path(file).suffix in (".sh", ".py"))
        self.everything = "\n".join(self.texts.values())
        self.targets = set(re.findall(r"^([a-z-]+):", self._read("Makefile"), re.MULTILINE))

    def _read(self, file):
        path = self.root / file
        return path.read_text(errors="replace") if path.is_file() else ""

    def holds(self, path):
        """Whether there is such a file. Its pattern may have a star."""
        if "*" in path:
            pattern = re.compile(re.escape(path).replace(r"\*", "[^/]*"))
            return any(pattern.fullmatch(file) for file in self.files)
        return path in self.files

    def function(self, name, file=None):
        """Whether a function of that name is defined: in the file, or anywhere."""
        text = self.everything if file is None else self._read(file)
        return re.search(rf"\b(?:fn|def) {re.escape(name)}\b|^{re.escape(name)}\(\)", text, re.MULTILINE) is not None

    def method(self, owner, name, file=None):
        """Whether the type has that function, in the file or in any that names the type."""
        files = [file] if file else [known for known, text in self.texts.items() if re.search(rf"\b{owner}\b", text)]
        owned = re.compile(rf"\b(?:impl\b[^{{;]*|trait |enum ){owner}\b")
        return any(self.function(name, known) and owned.search(self._read(known)) for known in files)

    def word(self, name):
        return re.search(rf"\b{re.escape(name)}\b", self.everything) is not None

    def metric(self, name):
        """Whether the source has the name, or the part behind `floodgate_` that it is put together from."""
        short = name.removeprefix("floodgate_")
        return self.word(name) or f'"{short}"' in self.everything or name in self.scripts


def spans(text):
    """Line, code span and what stands between it and the span before, for each code span outside of blocks."""
    whole = "\n".join(outside_code(text))
    end = 0
    for match in SPAN.finditer(whole):
        yield whole.count("\n", 0, match.start()) + 1, " ".join(match[1].split()), whole[end : match.start()]
        end = match.end()


def fault(tree, span, file):
    """What is missing of a span; `file` is the file that it follows, if it does."""
    if (method := METHOD.match(span)) and not tree.method(method[1], method[2], file):
        return f"no function {span}" + (f" in {file}" if file else "")
    if (function := FUNCTION.match(span)) and not tree.function(function[1], file):
        return f"no function {span}" + (f" in {file}" if file else "")
    if file and BARE.match(span) and not tree.function(span, file):
        return f"no function {span} in {file}"
    if SENTENCE.match(span) and not METRIC.match(span) and not tree.function(span):
        return f"no test {span}"
    if TYPE.match(span) and not tree.word(span):
        return f"no type {span}"
    if METRIC.match(span) and not tree.metric(span):
        return f"no {span} in the source"
    if (target := TARGET.match(span)) and target[1] not in tree.targets:
        return f"no target {target[1]} in the Makefile"
    return None


def missing_path(tree, span, in_full):
    """What is missing if the span is a path. Other pages also name folders of users: `trim/src/lib.rs`."""
    path = re.sub(r":\d+$", "", span)
    first = path.partition("/")[0] + "/"
    if NOT_IN_THE_TREE.match(path) or not (in_full or first in tree.folders):
        return None
    if FILE.match(path) and not tree.holds(path):
        return f"no file {path}"
    if FOLDER.match(path) and path not in tree.folders:
        return f"no folder {path}"
    return None


def check(tree, text, in_full):
    """Line and fault of everything that a page names and the tree does not have."""
    before = None
    for line, span, between in spans(text):
        path_fault = missing_path(tree, span, in_full)
        if path_fault:
            yield line, path_fault
        elif in_full:
            wrong = fault(tree, span, before if before and BETWEEN.match(between) else None)
            if wrong:
                yield line, wrong
        before = span if FILE.match(span) and span in tree.files else None


def pages(root):
    """Every page, and whether it is checked in full."""
    in_full = {page for pattern in IN_FULL for page in root.glob(pattern)}
    others = {root / "README.md", *(root / "docs").rglob("*.md")} - in_full
    return [(page, True) for page in sorted(in_full)] + [(page, False) for page in sorted(others)]


def main():
    root = Path(sys.argv[sys.argv.index("--root") + 1] if "--root" in sys.argv else __file__).resolve()
    root = root if "--root" in sys.argv else root.parents[2]
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True,
    )
    tree = Tree(root, [file for file in listed.stdout.splitlines() if (root / file).is_file()])
    faults = 0
    for page, in_full in pages(root):
        for line, wrong in check(tree, page.read_text(), in_full):
            print(f"docs: {page.relative_to(root)}:{line}: {wrong}", file=sys.stderr)
            faults += 1
        if in_full and "--pages" in sys.argv:
            print(page.relative_to(root))
    if faults:
        sys.exit(1)
    print(f"{len(pages(root))} pages name what exists")


if __name__ == "__main__":
    main()
