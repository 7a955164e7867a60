#!/usr/bin/env python3
"""Runs the code blocks of README.md and docs/, and checks that every link leads somewhere.

    tests/docs/run.py                      all pages
    tests/docs/run.py docs/quick-start.md  these pages
    tests/docs/run.py --links              links alone
    tests/docs/run.py --bin DIR            with the floodgate of this folder

CONTRIBUTING.md describes what a page may say in a block's info string. Exit status 1 if anything is wrong.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import links
from blocks import Unmarked, extract
from pages import Runner

ROOT = Path(__file__).resolve().parents[2]
README_LINES = 150


def pages_with_blocks(root):
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def pages_with_links(root):
    others = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    found = [root / name for name in others if (root / name).exists()]
    found += sorted((root / "docs").rglob("*.md"))
    found += [page for page in sorted((root / "terraform").rglob("README.md")) if ".terraform" not in page.parts]
    return found


def programs(root, given):
    """The folder that has `floodgate`: the one given, the newest build, or that of the PATH."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    on_path = shutil.which("floodgate")
    for folder in [given, target / "release", on_path and Path(on_path).parent]:
        if folder and (Path(folder) / "floodgate").exists():
            return Path(folder).resolve()
    sys.exit("docs: no `floodgate`: build it, or name its folder with --bin")


def component(root):
    """A handler that passes events through, if it was built."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    for folder in [root / "handlers/target", target]:
        file = folder / "wasm32-wasip2/release/pass.wasm"
        if file.exists():
            return file.resolve()
    return None


def environment(root, folder):
    """What a page's programs get: this process's variables, with the tools of the tests first on the PATH."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("FLOODGATE_")}
    server = os.environ.get("FLOODGATE_NATS_SERVER", str(root / ".tools/nats-server"))
    variables["FLOODGATE_NATS_SERVER"] = server
    # Where the tests of the templates build: a handler finds its dependencies compiled there.
    variables["CARGO_TARGET_DIR"] = str(root / "target/templates")
    first = [part for part in (folder, root / ".tools/venv/bin", Path(server).parent) if part.is_dir()]
    variables["PATH"] = os.pathsep.join([*map(str, first), variables["PATH"]])
    return variables


def read(pages, root):
    """The blocks of each page, and what is wrong with their marks."""
    found, faults = {}, []
    for page in pages:
        name = page.relative_to(root)
        try:
            found[page] = extract(name, page.read_text())
        except Unmarked as error:
            faults.append(str(error))
            continue
        for block in found[page]:
            try:
                block.read_info()
            except Unmarked as error:
                faults.append(f"{block.where()}: {error}")
    return found, faults


def check_links(root):
    """Links, entries of the book, and the length of the front page."""
    faults = links.faults(pages_with_links(root), root)
    summary = root / "docs/SUMMARY.md"
    if summary.exists():
        missing = links.missing_from_summary(root / "docs")
        faults += [f"{page.relative_to(root)}: not in docs/SUMMARY.md" for page in missing]
    length = len((root / "README.md").read_text().splitlines())
    if length > README_LINES:
        faults.append(f"README.md: {length} lines; {README_LINES} at most: longer parts belong in docs/")
    return faults


def run_blocks(root, pages, folder):
    """Runs the blocks of the pages and returns what is wrong."""
    found, faults = read(pages, root)
    if faults:
        return faults
    os.environ["PATH"] = environment(ROOT, folder)["PATH"]
    with tempfile.TemporaryDirectory(prefix="floodgate-docs-") as scratch:
        runner = Runner(Path(scratch), environment(ROOT, folder), component(ROOT))
        try:
            for page, blocks in found.items():
                runner.page(page.read_text(), blocks)
            runner.settle()
        finally:
            runner.stop()
    for reason in sorted(set(runner.skipped)):
        print(f"SKIPPED: documentation: {reason}")
    print(f"{runner.ran} blocks run, {runner.parsed} parsed, {runner.not_run} not run")
    return runner.faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, help="pages; README.md and all of docs/ if left out")
    parser.add_argument("--bin", type=Path, help="the folder of the program")
    parser.add_argument("--links", action="store_true", help="check links alone")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    given = parser.parse_args()
    root = given.root.resolve()
    faults = check_links(root) if given.links or not given.pages else []
    if not given.links:
        pages = [page.resolve() for page in given.pages] or pages_with_blocks(root)
        faults += run_blocks(root, pages, programs(ROOT, given.bin))
    for fault in faults:
        print(f"docs: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
