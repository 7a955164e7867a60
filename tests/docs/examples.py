#!/usr/bin/env python3
"""Checks the files of docs/examples, and starts a deployment with them.

    tests/docs/examples.py                 everything
    tests/docs/examples.py --bin DIR       with the floodgate of this folder
    tests/docs/examples.py --without-deployment

Each file is checked by the program that reads it: haproxy, nats-server, promtool, systemd-analyze, bash and floodgate. What
stands elsewhere too, in terraform/ or in the tests, must be the same there. Where a tool is missing a line begins with
SKIPPED. Exit status 1 if anything is wrong.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import metrics
from blocks import extract
from cluster import Cluster, make_keys
from run import environment, programs
from shell import Failed

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs/examples"
HOST = ROOT / "terraform/modules/host"
NKEY = re.compile(r"\bU[A-Z2-7]{55}\b")
ALERT = re.compile(r"`(Floodgate[A-Z]\w+)`")
# In a page, before a block: the block is a part of this example.
SHOWN = re.compile(r"<!--\s*from:\s*(\S+)\s*-->\s*\Z")


class Checks:
    """Runs checks and collects what they find."""

    def __init__(self, programs_folder, folder):
        self.folder = folder
        self.environment = environment(ROOT, programs_folder)
        self.faults, self.skipped, self.done = [], [], 0

    def check(self, name, function, *tools):
        """Runs one check, unless a tool that it needs is missing."""
        lacking = [tool for tool in tools if not self.which(tool)]
        if lacking:
            self.skipped.append(f"{name}: this machine has no {', '.join(lacking)}")
            return
        try:
            faults = list(function())
        except Failed as failed:
            faults = [str(failed)]
        self.done += 1
        self.faults += [f"{name}: {fault}" for fault in faults]

    def which(self, tool):
        """Where a program is, in the folders of administrators too."""
        return shutil.which(tool, path=f"{self.environment['PATH']}:/usr/sbin:/sbin")

    def run(self, *command, cwd=EXAMPLES):
        """What a command says if it fails."""
        command = [self.which(command[0]) or command[0], *map(str, command[1:])]
        done = subprocess.run(command, cwd=cwd, env=self.environment, capture_output=True, text=True, timeout=120)
        if done.returncode:
            yield f"{' '.join(command[1:])}: {(done.stdout + done.stderr).strip()}"


def settings_of(text):
    """The lines that say something, without indentation and comments."""
    lines = (line.strip() for line in text.splitlines())
    return {line for line in lines if line and not line.startswith("#")}


def haproxy(checks):
    """haproxy takes the file, and it has every setting that `make hosts` ran under load."""
    file = EXAMPLES / "region/haproxy.cfg"
    yield from checks.run("haproxy", "-c", "-f", file)
    tested = re.search(r'CONFIG = """(.*?)"""', (ROOT / "tests/hosts/balancer.py").read_text(), re.DOTALL)[1]
    # What the tests fill in, and the log that they read.
    tested = {line for line in settings_of(tested) if "{" not in line and not line.startswith("log-format")}
    for line in tested - settings_of(file.read_text()):
        yield f"tests/hosts/balancer.py also has `{line}`"
    server = re.search(r'SERVER = "(.*?)\\n"', (ROOT / "tests/hosts/balancer.py").read_text())[1].split()
    shown = [line.split() for line in settings_of(file.read_text()) if line.startswith("server ")]
    yield from ("a server's line is another one in tests/hosts/balancer.py" for line in shown if line[5:] != server[5:])


def nats_like_terraform(checks):
    """Every setting of Terraform's template is in the examples, but for the values that it fills in."""
    template = (HOST / "templates/nats.conf.tftpl").read_text()
    wanted = [line for line in settings_of(template) if not line.startswith("%{")]
    for part in ("region", "centre"):
        shown = settings_of((EXAMPLES / part / "nats.conf").read_text())
        for line in wanted:
            form = re.compile(re.sub(r"\\\$\\\{.*?\\\}", ".+", re.escape(line)))
            if not any(form.fullmatch(other) for other in shown):
                yield f"{part}/nats.conf lacks `{line}` of terraform/modules/host/templates/nats.conf.tftpl"


def nats_accepts(checks):
    """nats-server takes both files, beside keys and certificates as keys.sh makes them."""
    secrets = make_keys(checks.folder / "secrets", checks.environment)
    for part, host in (("region", secrets / "regions/eu/hosts/eu-1"), ("centre", secrets / "centre/hosts/centre-1")):
        place = checks.folder / f"nats-{part}"
        place.mkdir()
        text = (EXAMPLES / part / "nats.conf").read_text()
        text = text.replace("/etc/floodgate", str(host)).replace("/var/lib/floodgate", str(place))
        (place / "nats.conf").write_text(text)
        shutil.copy(EXAMPLES / part / "authorization.conf", place)
        yield from checks.run("nats-server", "-t", "-c", place / "nats.conf")
        made = NKEY.sub("U", (host / "authorization.conf").read_text())
        if settings_of(made) != settings_of(NKEY.sub("U", (EXAMPLES / part / "authorization.conf").read_text())):
            yield f"{part}/authorization.conf is not what terraform/modules/secrets/files/{part}.sh writes"


def prometheus(checks):
    """promtool takes rules and configuration, and the rules' own tests pass."""
    folder = EXAMPLES / "prometheus"
    yield from checks.run("promtool", "check", "rules", "floodgate.rules.yml", cwd=folder)
    yield from checks.run("promtool", "check", "config", "prometheus.yml", cwd=folder)
    yield from checks.run("promtool", "test", "rules", "floodgate.test.yml", cwd=folder)


def metrics_exist(checks):
    """Rules and pages name no metric that the programs lack, and the page of metrics names all of them."""
    known = metrics.in_code(ROOT)
    texts = [*EXAMPLES.rglob("*.yml"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    for file in texts:
        for name in sorted(metrics.in_text(file.read_text()) - known):
            yield f"{file.relative_to(ROOT)}: no metric is called {name}"
    page = ROOT / "docs/operations/monitoring.md"
    for name in sorted(known - metrics.in_text(page.read_text())):
        yield f"{page.relative_to(ROOT)} does not explain {name}"


def alerts_explained(checks):
    """Pages name no alert that the rules lack, and the page of alerts names all of them."""
    rules = set(re.findall(r"alert: (\w+)", (EXAMPLES / "prometheus/floodgate.rules.yml").read_text()))
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for name in sorted(set(ALERT.findall(page.read_text())) - rules):
            yield f"{page.relative_to(ROOT)}: no alert is called {name}"
    page = ROOT / "docs/operations/monitoring.md"
    yield from (f"{page.relative_to(ROOT)} does not explain {name}" for name in rules - set(ALERT.findall(page.read_text())))


def units(checks):
    """systemd takes the units; the programs that they start need not be here."""
    for file in sorted((EXAMPLES / "systemd").iterdir()):
        text = re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", file.read_text(), flags=re.MULTILINE)
        text = re.sub(r"^(User|Group)=.*$", "", text, flags=re.MULTILINE)
        (checks.folder / file.name).write_text(text)
    for unit in ("floodgate-backup.timer", "floodgate-doctor.timer"):
        yield from checks.run("systemd-analyze", "verify", checks.folder / unit)


def scripts(checks):
    """bash takes the scripts, and a host's files can be packed."""
    for file in sorted(EXAMPLES.rglob("*.sh")):
        yield from checks.run("bash", "-n", file)
    secrets = make_keys(checks.folder / "secrets", checks.environment)
    place = checks.folder / "config/eu-1"
    place.mkdir(parents=True)
    for name in ("nats.conf", "gateway.toml"):
        shutil.copy(EXAMPLES / "region" / name, place)
    variables = {"SECRETS": secrets, "CONFIG": place.parent}
    variables |= {name: checks.which(tool) for name, tool in (("FLOODGATE", "floodgate"), ("NATS_SERVER", "nats-server"))}
    command = ["env", *(f"{name}={value}" for name, value in variables.items())]
    pack = f"{EXAMPLES}/stage.sh gateway eu-1 10.1.0.1:9090 10.1.0.2:6222 10.1.0.3:6222 | tar -t"
    done = subprocess.run([*command, "bash", "-o", "pipefail", "-c", pack], env=checks.environment, capture_output=True, text=True)
    packed = set(done.stdout.split())
    for name in ("go.sh", "install.sh", "host.env", "secrets/gateway.nk", "config/nats.conf", "units/floodgate-gateway.service"):
        if f"./{name}" not in packed:
            yield f"stage.sh packs no {name}: {done.stderr.strip()}"


def pages_show_the_files(checks):
    """A block behind `<!-- from: FILE -->` is a part of that example."""
    shown = set()
    for page in sorted((ROOT / "docs").rglob("*.md")):
        lines = page.read_text().splitlines()
        for block in extract(page, page.read_text()):
            marked = SHOWN.search("\n".join(lines[: block.line - 1]))
            if marked:
                file = (page.parent / marked[1]).resolve()
                shown.add(file)
                if block.text not in file.read_text():
                    yield f"{page.relative_to(ROOT)}:{block.line}: not as in {file.relative_to(ROOT)}"
    if not shown:
        yield "no page shows an example"


def deployment(checks):
    """The files start a region of three and a centre of three; doctor finds nothing wrong; a backup can be put back."""
    with Cluster(checks.folder / "cluster", checks.environment) as cluster:
        yield from cluster.doctor()
        yield from cluster.backup()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=Path, help="the folder of the program")
    parser.add_argument("--without-deployment", action="store_true", help="start nothing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="floodgate-examples-") as folder:
        checks = Checks(programs(ROOT, given.bin), Path(folder))
        for function, *tools in [
            (haproxy, "haproxy"),
            (nats_like_terraform,),
            (nats_accepts, "nats-server"),
            (prometheus, "promtool"),
            (metrics_exist,),
            (alerts_explained,),
            (units, "systemd-analyze"),
            (scripts, "bash", "tar"),
            (pages_show_the_files,),
        ]:
            checks.check(function.__name__, lambda: function(checks), *tools)
        if not given.without_deployment:
            checks.check("deployment", lambda: deployment(checks), "nats-server")
    for reason in checks.skipped:
        print(f"SKIPPED: examples: {reason}")
    for fault in checks.faults:
        print(f"examples: {fault}", file=sys.stderr)
    print(f"{checks.done} checks of docs/examples")
    sys.exit(1 if checks.faults else 0)


if __name__ == "__main__":
    main()
