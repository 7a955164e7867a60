"""Blocks of floodgate.toml, checked by a deployment: `floodgate apply --dry-run`.

A page binds handlers that nobody wrote. So components of those names, which pass each event through, are uploaded
first. Each version differs from the others in a section that means nothing.
"""

import base64
import hashlib
import re
import subprocess

from shell import Deployment

SECRET = re.compile(r'env\s*=\s*"(\w+)"')
FILE = re.compile(r'\bfile\s*=\s*"([^"]+)"')
HANDLER = re.compile(r'\{\s*name\s*=\s*"([a-z0-9_-]+)"([^}]*)|^\[\[[^\]]*\.handlers\]\]\s*\n((?:[^\[\n].*\n|\n)*)', re.MULTILINE)
NAME = re.compile(r'^name\s*=\s*"([^"]+)"', re.MULTILINE)
PARAMS = re.compile(r"\bparams\s*=\s*\{[^}]*\}")
VERSION = re.compile(r"\bversion\s*=\s*(\d+)")
STAND_IN = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
MOST_VERSIONS = 9


def stand_in(name):
    """A secret for a variable: its own, because a source refuses the same secret twice."""
    return "whsec_" + base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


def bound(text):
    """Name and version of each handler that the block binds."""
    for name, rest, table in HANDLER.findall(text):
        if table:
            named = NAME.search(table)
            name, rest = (named[1] if named else ""), table
        if name:
            version = VERSION.search(rest)
            yield name, min(int(version[1]), MOST_VERSIONS) if version else 1


def numbered(component, number):
    """The component with a custom section that holds a number: another version that does the same."""
    content = b"\x04docs" + bytes([number])
    return component + b"\x00" + bytes([len(content)]) + content


class Documents:
    """Checks blocks against one deployment for all pages, which begins with the first block."""

    def __init__(self, folder, environment, component):
        self.folder = folder
        self.environment = environment
        self.component = component
        self.deployment = None
        self.versions = {}

    def fault(self, block):
        """What the program says is wrong with the block; None if it could be applied."""
        if self.deployment is None:
            self.folder.mkdir()
            self.deployment = Deployment(self.folder, self.environment)
        for name, version in bound(block.text):
            self._upload(name, version)
        # The components that stand in for a page's handlers do not know its parameters.
        text = PARAMS.sub("params = {}", FILE.sub(self._secret, block.text))
        document = self.folder / "floodgate.toml"
        document.write_text(text)
        secrets = {name: stand_in(name) for name in SECRET.findall(text)}
        done = self._floodgate("apply", "--dry-run", "--file", str(document), **secrets)
        return None if done.returncode == 0 else (done.stdout + done.stderr).strip()

    def needs_component(self, block):
        """True if the block binds a handler and there is no component to stand in for it."""
        return self.component is None and any(bound(block.text))

    def _secret(self, match):
        (self.folder / "secret").write_text(STAND_IN + "\n")
        return 'file = "secret"'

    def _upload(self, name, version):
        for number in range(self.versions.get(name, 0) + 1, version + 1):
            file = self.folder / f"{name}.wasm"
            file.write_bytes(numbered(self.component.read_bytes(), number))
            self._floodgate("handler", "push", file.name, "--name", name).check_returncode()
            self.versions[name] = number

    def _floodgate(self, *arguments, **variables):
        return subprocess.run(
            ["floodgate", *arguments],
            cwd=self.folder,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def stop(self):
        """Ends the deployment, if it began."""
        if self.deployment is not None:
            self.deployment.stop()
