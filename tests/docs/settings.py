"""Blocks of gateway.toml and relay.toml, checked by the program itself: `floodgate doctor` reads them.

A page shows names of a real deployment and files that are not here, and often only a part of the file. So what a
block leaves out is added, the files that it names are made, and every address becomes one of this machine.
"""

import json
import re
import subprocess

GATEWAY = {
    "region": 'region = "eu"',
    "listen": 'listen = "127.0.0.1:8441"',
    "metrics_listen": 'metrics_listen = "127.0.0.1:9441"',
    "opening_key_file": 'opening_key_file = "region.key"',
    "plaintext": "plaintext = true",
    "nats": 'nats = { url = "nats://127.0.0.1:1" }',
}
RELAY = {
    "relay": 'relay = "relay-1"',
    "state_dir": 'state_dir = "state"',
    "opening_key_file": 'opening_key_file = "centre.key"',
    "metrics_listen": 'metrics_listen = "127.0.0.1:9440"',
    "admin": 'admin = { listen = "127.0.0.1:1", token_file = "admin.token" }',
    "nats": 'nats = { url = "nats://127.0.0.1:1" }',
    "regions": 'regions = [{ name = "eu", sealing_key_file = "region.key.pub", nats = { url = "nats://127.0.0.1:1" } }]',
}
FILE = re.compile(r'\b(\w+_file|state_dir|cache_dir)(\s*=\s*)"([^"]+)"')
TOP = re.compile(r"^(\w+)(?:\.\w+)*\s*=|^\[+\s*(\w+)", re.MULTILINE)
TABLE = re.compile(r"^\[", re.MULTILINE)
HOST = re.compile(r"\b(nats|tls)://[^\"/,\s]+")
ADDRESS = re.compile(r'"(?!127\.|0\.0\.0\.0)\d+\.\d+\.\d+\.\d+:\d+"')


def complete(text, base):
    """The block, with what it leaves out of the file added before its first table."""
    first = TABLE.search(text)
    cut = first.start() if first else len(text)
    # A key of a table is not one of the file.
    named = {key for key, _ in TOP.findall(text[:cut])} | {table for _, table in TOP.findall(text)}
    if "tls" in named:
        named.add("plaintext")
    added = "".join(line + "\n" for key, line in base.items() if key not in named)
    return f"{text[:cut].rstrip()}\n{added}\n{text[cut:]}"


def here(text):
    """Every server is one of this machine that does not answer: nothing outside it is asked."""
    return ADDRESS.sub('"127.0.0.1:1"', HOST.sub(r"\1://127.0.0.1:1", text))


def keys(folder, *arguments):
    subprocess.run(["floodgate", "keys", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)


def make(key, name, folder):
    """Makes the file that a setting names, unless it was made for another block."""
    if (folder / name).exists() or key in ("state_dir", "cache_dir"):
        return
    if key == "opening_key_file":
        keys(folder, "sealing", name)
    elif key == "sealing_key_file":
        keys(folder, "sealing", name.removesuffix(".pub"))
    elif key == "nkey_file":
        keys(folder, "nkey", name)
    elif key in ("certificate_file", "key_file", "ca_file"):
        keys(folder, "ca", "ca")
        keys(folder, "certificate", "server", "--ca", "ca", "--name", "localhost")
        made = {"certificate_file": "server.pem", "key_file": "server.key", "ca_file": "ca/ca.pem"}
        (folder / name).write_bytes((folder / made[key]).read_bytes())
    else:
        keys(folder, "token", name)


def with_files(text, folder):
    """The block, naming files in the folder, which are made."""

    def place(match):
        key, equals, path = match.groups()
        name = path.strip("/").replace("/", "-")
        make(key, name, folder)
        return f'{key}{equals}"{name}"'

    return FILE.sub(place, text)


def fault(block, folder, environment):
    """What the program says is wrong with the block; None if it would start with it."""
    base = GATEWAY if block.mode == "gateway" else RELAY
    folder.mkdir(parents=True, exist_ok=True)
    text = with_files(here(complete(block.text, base)), folder)
    file = folder / f"{block.mode}.toml"
    file.write_text(text)
    command = ["floodgate", "doctor", "--json", f"--{block.mode}", file.name]
    asked = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    try:
        findings = json.loads(asked.stdout)["findings"]
    except (ValueError, KeyError):
        return f"doctor: {asked.stdout}{asked.stderr}".strip()
    judged = [finding for finding in findings if finding["check"] == "configuration"]
    if not judged:
        return f"doctor did not look at the configuration: {asked.stdout}"
    return next((finding["found"] for finding in judged if finding["state"] == "wrong"), None)
