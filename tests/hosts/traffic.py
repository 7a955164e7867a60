"""Load and consumer as processes of their own, and what their records say."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter

from tail import Tail
from wait import require

HERE = os.path.dirname(os.path.abspath(__file__))


class Load:
    """Senders at work on one region."""

    def __init__(self, name, folder, target, ca, secret, rate, repeats_of=None):
        self.name, self.file = name, os.path.join(folder, f"load-{name}.jsonl")
        self.rate, self.tail = rate, Tail(self.file, json.loads)
        settings = {"target": target, "ca": ca, "secret": secret, "rate": rate, "run": name, "file": self.file,
                    "repeats_of": repeats_of}
        log = open(os.path.join(folder, f"load-{name}.log"), "wb")
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "load.py")], stdin=subprocess.PIPE,
                                        stdout=log, stderr=log, text=True)
        self.process.stdin.write(json.dumps(settings) + "\n")
        self.process.stdin.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            require(self.process.wait(timeout=90) == 0, f"load {self.name} ended badly")
        return self

    def outcomes(self, since=0.0):
        """Requests that were begun since then."""
        return [line for line in self.tail.read() if since <= line["began"]]

    def acknowledged(self):
        return {line["id"] for line in self.outcomes() if line["outcome"] == 200}


def counted(outcomes):
    """How requests ended, as text, such as `4123 × 200, 3 × reset`."""
    return ", ".join(f"{count} × {outcome}" for outcome, count in Counter(
        str(line["outcome"]) for line in outcomes).most_common()) or "none"


def failures(outcomes):
    return [line for line in outcomes if line["outcome"] != 200]


def slowest_ms(outcomes):
    return max((round(1000 * (line["ended"] - line["began"])) for line in outcomes), default=0)


def percentile_ms(outcomes, share):
    times = sorted(1000 * (line["ended"] - line["began"]) for line in outcomes)
    return round(times[int(share * (len(times) - 1))]) if times else 0


class Consumer:
    def __init__(self, folder, address, port):
        self.file, self.url = os.path.join(folder, "deliveries"), f"http://{address}:{port}/hooks"
        self.tail = Tail(self.file, delivery)
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "consumer.py"), address, str(port), self.file],
            stdout=subprocess.PIPE, text=True)
        require(self.process.stdout.readline() == "ready\n", "the consumer did not start")

    def deliveries(self):
        """Time, id and region of each delivery."""
        return self.tail.read()

    def ids(self):
        return {identity for _, identity, _ in self.deliveries()}

    def stop(self):
        self.process.terminate()
        self.process.wait()


def delivery(line):
    at, identity, region = line.split()
    return float(at), identity, region


class Link:
    """The line between a region and the centre."""

    def __init__(self, pairs):
        arguments = [f"{listen}={target}" for listen, target in pairs]
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "link.py"), *arguments],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        require(self.process.stdout.readline() == "ready\n", "the link did not start")

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        require(self.process.stdout.readline() == "done\n", "the link ended")

    def stop(self):
        self.process.terminate()
        self.process.wait()
