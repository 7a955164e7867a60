"""A deployment of docs/examples on this machine: the examples' addresses become loopback ones, and their ports free ones.

A region of three and a centre of three, each with its nats-server and its gateway or relay, as the pages say to derive
the second and third host from the first.
"""

import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from shell import Failed, stop, tail

EXAMPLES = Path(__file__).resolve().parents[2] / "docs/examples"
# The examples' addresses begin with 10., those of this machine with 127.
ADDRESS = re.compile(r"\b10\.(\d+\.\d+\.\d+)\b")
PORTS = (4222, 6222, 8222, 443, 9090, 9400, 8400)
READY_SECONDS = 120
HOSTS = {
    "region": [f"eu-{number}" for number in (1, 2, 3)],
    "centre": [f"centre-{number}" for number in (1, 2, 3)],
}
PARTS = {"region": "gateway", "centre": "relay"}


def make_keys(folder, environment):
    """Runs keys.sh for addresses of this machine, once; and gives back its folder."""
    if not folder.exists():
        # The script finds Terraform's from where it is, so it gets another plan and stays there.
        text = ADDRESS.sub(r"127.\1", (EXAMPLES / "keys.sh").read_text())
        text = text.replace('"$(dirname "$0")', f'"{EXAMPLES}')
        done = subprocess.run(["bash", "-c", text, "keys.sh", str(folder)], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"keys.sh: {done.stdout}{done.stderr}")
    return folder


def free_ports():
    """A free port for each of the examples' ports, the same on all addresses."""
    taken = [socket.socket() for _ in PORTS]
    for port in taken:
        port.bind(("127.0.0.1", 0))
    found = {wanted: port.getsockname()[1] for wanted, port in zip(PORTS, taken)}
    for port in taken:
        port.close()
    return found


class Cluster:
    """Starts everything and waits until each part is ready; ends it at the end."""

    def __init__(self, folder, environment):
        self.folder = folder
        self.environment = environment
        self.ports = free_ports()
        self.processes = []

    def __enter__(self):
        self.folder.mkdir()
        try:
            self.secrets = make_keys(self.folder.parent / "secrets", self.environment)
            for group, names in HOSTS.items():
                for index, name in enumerate(names):
                    self._configure(group, name, index)
            for group, names in HOSTS.items():
                for name in names:
                    self._start(name, "nats-server", "--config", "nats.conf")
            for group in ("centre", "region"):
                for name in HOSTS[group]:
                    part = PARTS[group]
                    self._start(name, "floodgate", part, "--config", f"{part}.toml")
            for group in ("centre", "region"):
                for name in HOSTS[group]:
                    self._ready(group, name)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Gateways and relays first, as they were started last."""
        for process in reversed(self.processes):
            stop(process)

    def _keys(self, group, name):
        return self.secrets / ("regions/eu/hosts" if group == "region" else "centre/hosts") / name

    def _configure(self, group, name, index):
        """Puts the first host's files where this host has them, changed as their first lines say."""
        place = self.folder / name
        place.mkdir()
        first = HOSTS[group][0]
        for file in ("nats.conf", f"{PARTS[group]}.toml"):
            text = (EXAMPLES / group / file).read_text().replace(f'"{first}"', f'"{name}"')
            text = self._own_addresses(text, index)
            text = text.replace("/etc/floodgate", str(self._keys(group, name)))
            text = text.replace("/var/lib/floodgate", str(place))
            (place / file).write_text(self._on_this_machine(text, group, index))
        for file in ("jetstream", "cache", "relay"):
            (place / file).mkdir()
        (place / "authorization.conf").write_text((self._keys(group, name) / "authorization.conf").read_text())

    @staticmethod
    def _own_addresses(text, index):
        """`listen` addresses are this host's, and its own server comes first."""
        def own(match):
            return f"{match[1]}{int(match[2]) + index}{match[3]}"

        def turned(match):
            urls = match[2].split(", ")
            return match[1] + ", ".join(urls[index:] + urls[:index]) + match[3]

        text = re.sub(r'(listen\w* = "10\.\d+\.\d+\.)(\d+)(:)', own, text)
        return re.sub(r"^(nats = \{ urls = \[)(.*?)(\])", turned, text, count=1, flags=re.MULTILINE)

    def _on_this_machine(self, text, group, index):
        # Every host listens on its own address alone: they are all on one machine.
        own = f"127.1.0.{index + 1}" if group == "region" else f"127.0.0.{index + 11}"
        text = ADDRESS.sub(r"127.\1", text)
        text = text.replace("0.0.0.0:", f"{own}:").replace('"127.0.0.1:8222"', f'"{own}:8222"')
        for port, free in self.ports.items():
            text = re.sub(rf"(127\.\d+\.\d+\.\d+):{port}\b", rf"\1:@{free}", text)
        return text.replace(":@", ":")

    def _address(self, group, index):
        return f"127.1.0.{index + 1}" if group == "region" else f"127.0.0.{index + 11}"

    def _start(self, name, *command):
        place = self.folder / name
        with (place / f"{command[0]}.log").open("wb") as log:
            self.processes.append(
                subprocess.Popen(command, cwd=place, env=self.environment, stdout=log, stderr=log, start_new_session=True)
            )

    def _ready(self, group, name):
        index = HOSTS[group].index(name)
        port = self.ports[9090 if group == "region" else 8400]
        url = f"http://{self._address(group, index)}:{port}/readyz"
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                with urllib.request.urlopen(url, timeout=2):
                    return
            except (urllib.error.URLError, OSError) as error:
                if time.monotonic() > deadline:
                    log = tail(self.folder / name / "floodgate.log")
                    raise Failed(f"{name} is not ready: {error}\n{log}") from None
            time.sleep(0.2)

    def _floodgate(self, group, index, *arguments):
        name = HOSTS[group][index]
        token = (self.secrets / "centre/admin.token").read_text().strip()
        api = f"http://{self._address('centre', 0)}:{self.ports[8400]}"
        variables = {**self.environment, "FLOODGATE_API": api, "FLOODGATE_TOKEN": token}
        return subprocess.run(
            arguments, cwd=self.folder / name, env=variables, capture_output=True, text=True, timeout=300
        )

    def doctor(self):
        """What doctor finds wrong, once streams have had the time to become current."""
        for group, part in PARTS.items():
            monitor = f"http://{self._address(group, 0)}:{self.ports[8222]}"
            command = ["floodgate", "doctor", f"--{part}", f"{part}.toml", "--monitor", monitor]
            deadline = time.monotonic() + READY_SECONDS
            while (done := self._floodgate(group, 0, *command)).returncode and time.monotonic() < deadline:
                time.sleep(2)
            if done.returncode:
                yield f"doctor in the {group}: {done.stdout}{done.stderr}"

    def backup(self):
        """A backup by the timer's script, put back by the drill's."""
        self.environment = {
            **self.environment,
            "FLOODGATE_RELAY_TOML": "relay.toml",
            "FLOODGATE_BACKUPS": str(self.folder),
            "DRILL_FOLDER": str(self.folder),
            "DRILL_PORT": str(free_ports()[4222]),
        }
        backups = f"{self.folder}/centre-*Z"
        script = f"{EXAMPLES}/centre/backup.sh && {EXAMPLES}/centre/restore-drill.sh {backups} relay.toml"
        done = self._floodgate("centre", 0, "bash", "-c", script)
        if done.returncode:
            yield f"backup and drill: {done.stdout}{done.stderr}"
