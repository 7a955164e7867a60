"""Runs the blocks of pages, each page in a folder of its own, and counts what became of them."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import settings
from documents import Documents
from shell import Deployment, Failed, Shell

BLOCK_SECONDS = 600
# `<!-- deployment -->`: a `floodgate dev` runs for the page. `<!-- needs: jq curl -->`: the page's blocks are run only
# where these programs are.
WITH_DEPLOYMENT = re.compile(r"<!--\s*deployment\s*-->")
NEEDS = re.compile(r"<!--\s*needs:\s*([^>]*?)\s*-->")
RUNNING = {"run", "deployment"}


class Runner:
    """Goes through pages; `faults` says what failed, `skipped` why something was not run."""

    def __init__(self, scratch, environment, component):
        self.scratch = scratch
        self.environment = environment
        self.documents = Documents(scratch / "documents", environment, component)
        self.waiting = []
        # Doctor waits for servers that are not there: those checks run beside the pages.
        self.pool = ThreadPoolExecutor(4)
        self.ran = self.parsed = self.not_run = 0
        self.faults, self.skipped = [], []
        self.pages = 0

    def page(self, text, blocks):
        """Runs a page's blocks in order. After one that fails, the page's other runs are left out."""
        lacking = self._lacking(text, blocks)
        self.pages += 1
        folder = self.scratch / f"page-{self.pages}"
        folder.mkdir()
        page = Page(folder, self.environment)
        try:
            if lacking:
                self.skipped.append(f"{blocks[0].page}: this machine has no {', '.join(lacking)}")
            elif WITH_DEPLOYMENT.search(text):
                page.deploy("floodgate dev")
            for block in blocks:
                if block.mode in RUNNING and lacking:
                    self.not_run += 1
                else:
                    self._block(page, block)
        except Failed as failed:
            self.faults.append(f"{blocks[0].page}: {failed}")
        finally:
            page.stop()

    def _lacking(self, text, blocks):
        """Programs that the page's blocks need and this machine has not."""
        needs = [name for line in NEEDS.findall(text) for name in line.split()]
        runs = {block.language for block in blocks if block.mode in RUNNING}
        lacking = [name for name in needs if not shutil.which(name)] if runs else []
        if "python" in runs and not any(part.endswith("venv/bin") for part in self.environment["PATH"].split(":")):
            lacking.append("Python packages of the tests (make setup)")
        return lacking

    def _block(self, page, block):
        if block.file and block.mode != "ignore":
            page.write(block)
        if block.mode in RUNNING:
            try:
                page.run(block)
            except Failed as failed:
                raise Failed(f"line {block.line}: {failed}") from None
            self.ran += 1
        elif block.mode in ("gateway", "relay"):
            place = self.scratch / f"settings-{len(self.waiting)}"
            self.waiting.append((block, self.pool.submit(settings.fault, block, place, self.environment)))
        elif block.mode == "apply" and self.documents.needs_component(block):
            self.skipped.append("blocks that bind handlers: handlers/ is not built")
            self.not_run += 1
        elif block.mode == "apply":
            self._judge(block, self.documents.fault(block))
        elif block.mode == "check":
            self._parse(block)
        elif block.mode == "ignore":
            self.not_run += 1

    def _parse(self, block):
        try:
            wrong = PARSERS[block.language](block.text)
        except FileNotFoundError as error:
            self.skipped.append(f"{block.language} blocks are not parsed: {error.filename} is not installed")
            self.not_run += 1
            return
        self._judge(block, wrong)

    def _judge(self, block, wrong):
        if wrong is None:
            self.parsed += 1
        else:
            self.faults.append(f"{block.where()}: {wrong}")

    def settle(self):
        """Takes the results of what ran beside the pages."""
        for block, future in self.waiting:
            self._judge(block, future.result())
        self.waiting = []

    def stop(self):
        """Ends everything that was started."""
        self.pool.shutdown(cancel_futures=True)
        self.documents.stop()


class Page:
    """A page's folder, and its shell and deployment once a block needs them."""

    def __init__(self, folder, environment):
        self.folder = folder
        self.environment = environment
        self.shell = None
        self.deployment = None

    def deploy(self, command):
        """Starts the page's deployment, and puts how to reach it into the environment."""
        self.deployment = Deployment(self.folder, self.environment, command)
        ready = json.loads(self.deployment.ready.read_text())
        admin = ready["admin"]
        self.environment = {
            **self.environment,
            "FLOODGATE_API": admin["url"],
            "FLOODGATE_TOKEN": admin["token"],
        }

    def write(self, block):
        """Writes a block with `file=NAME` where the page's other blocks find it."""
        place = (self.folder / block.file).resolve()
        if self.folder.resolve() not in place.parents:
            raise Failed(f"line {block.line}: `{block.file}` is outside the page's folder")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(block.text)

    def run(self, block):
        """Runs a block in the page's shell, or starts the deployment that it describes."""
        if block.mode == "deployment":
            self.deploy(block.text)
            return
        if self.shell is None:
            self.shell = Shell(self.folder, self.environment)
        if block.language == "python":
            file = self.shell.write(block.text, ".py")
            self.shell.run(f"python3 {shlex.quote(str(file))}", BLOCK_SECONDS)
        else:
            file = self.shell.write(block.text, ".sh")
            self.shell.run(f". {shlex.quote(str(file))}", BLOCK_SECONDS)

    def stop(self):
        """Ends the shell with what it started, then the deployment."""
        if self.shell is not None:
            self.shell.stop()
        if self.deployment is not None:
            self.deployment.stop()


def parse_python(text):
    try:
        compile(text, "block", "exec")
    except SyntaxError as error:
        return str(error)
    return None


def parse_json(text):
    try:
        json.loads(text)
    except ValueError as error:
        return str(error)
    return None


def parse_toml(text):
    if sys.version_info < (3, 11):
        raise FileNotFoundError(2, "", "Python 3.11")
    import tomllib

    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return str(error)
    return None


def by_command(*command):
    """A parser that hands the text to a program on its standard input."""

    def parse(text):
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
        return None if done.returncode == 0 else done.stderr.strip()

    return parse


PARSERS = {
    "python": parse_python,
    "json": parse_json,
    "toml": parse_toml,
    "sh": by_command("bash", "-n"),
    "rust": by_command("rustfmt", "--edition", "2024", "--emit", "stdout"),
    "javascript": by_command("node", "--check", "--input-type=module", "-"),
    "c": by_command("cc", "-std=c17", "-fsyntax-only", "-x", "c", "-"),
}
