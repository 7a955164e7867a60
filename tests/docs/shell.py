"""The one shell that runs a page's blocks, and the `floodgate dev` that runs beside it."""

import os
import shlex
import signal
import subprocess
import time

READY_SECONDS = 60
STOP_SECONDS = 20


class Failed(Exception):
    """A block failed, or took too long. The text is what it printed at the end."""


def tail(path, lines=25):
    text = path.read_text(errors="replace") if path.exists() else ""
    return "\n".join(text.splitlines()[-lines:])


def stop(process, first=signal.SIGTERM):
    """Ends a process and its group, which this program started as a session of its own."""
    if process.poll() is None:
        process.send_signal(first)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class Shell:
    """`bash` with `set -e -o pipefail` in a folder. What one block exports, the next one has."""

    def __init__(self, folder, environment):
        self.folder = folder
        self.notes = folder / ".docs"
        self.notes.mkdir()
        self.log = self.notes / "output"
        self.blocks = 0
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                ["bash", "--noprofile", "--norc"],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._type("set -e -o pipefail")

    def _type(self, line):
        try:
            self.process.stdin.write((line + "\n").encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed("the shell is gone") from None

    def write(self, text, suffix):
        """Writes a block's text beside the page's other notes."""
        self.blocks += 1
        path = self.notes / f"{self.blocks}{suffix}"
        path.write_text(text)
        return path

    def run(self, command, seconds):
        """Runs a command line in the shell and waits for its end."""
        self.blocks += 1
        done = self.notes / f"{self.blocks}.done"
        begin = self.log.stat().st_size
        self._type(f"{command} </dev/null\n: >{shlex.quote(str(done))}")
        deadline = time.monotonic() + seconds
        while not done.exists():
            if self.process.poll() is not None:
                raise Failed(self._since(begin) or f"exit status {self.process.returncode}")
            if time.monotonic() > deadline:
                raise Failed(f"took more than {seconds} s\n{self._since(begin)}".rstrip())
            time.sleep(0.02)

    def _since(self, begin):
        with self.log.open("rb") as log:
            log.seek(begin)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-25:])

    def stop(self):
        """Ends the shell and whatever it left running."""
        stop(self.process, signal.SIGKILL)
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass


class Deployment:
    """A `floodgate dev` in a folder, on free ports, ready when this returns."""

    def __init__(self, folder, environment, command="floodgate dev"):
        words = shlex.split(command, comments=True)
        if words[:2] != ["floodgate", "dev"]:
            raise Failed("a `deployment` block begins with `floodgate dev`")
        if "--port-base" in words:
            place = words.index("--port-base")
            del words[place : place + 2]
        self.ready = folder / ".floodgate/dev/ready.json"
        self.log = folder / "dev.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*words, "--port-base", "0"],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self.ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Failed(f"`floodgate dev` did not become ready\n{tail(self.log)}")
            time.sleep(0.05)

    def stop(self):
        """Ends it in order, so that each part leaves its files whole."""
        stop(self.process)
