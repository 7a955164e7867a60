"""`make hosts`: regions and a centre on hosts, made by Terraform and held to what the README promises.

Each host is a set of namespaces with its own sshd (machine.py). HOSTS_SHORT=1 makes a form for CI; HOSTS_ONLY=a,b runs
only these scenarios after `apply`; HOSTS_KEEP=1 keeps the folder with all logs also when nothing failed."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import scenarios
import tools
from deployment import Deployment


def without_symbols(path, folder):
    """What is installed on hosts need not carry the symbols for debugging."""
    target = os.path.join(folder, os.path.basename(path))
    if subprocess.run(["strip", "-o", target, path], stderr=subprocess.DEVNULL, check=False).returncode:
        shutil.copy(path, target)
    os.chmod(target, 0o755)
    return target


def chosen():
    only = os.environ.get("HOSTS_ONLY")
    names = only.split(",") if only else [scenario.__name__ for scenario in scenarios.ALL]
    short = os.environ.get("HOSTS_SHORT") == "1" and not only
    return [scenario for scenario in scenarios.ALL
            if scenario is scenarios.first_apply or (scenario.__name__ in names and not (short and scenario in scenarios.LONG))]


def run(deployment, short):
    passed = failed = 0
    for scenario in chosen():
        began = time.monotonic()
        try:
            figures = scenario(deployment, short)
            passed += 1
            print(f"ok    {scenario.__name__:22} {figures} ({time.monotonic() - began:.0f} s)", flush=True)
        except Exception as error:
            failed += 1
            deployment.end_loads()
            print(f"FAIL  {scenario.__name__:22} {error} ({time.monotonic() - began:.0f} s)", flush=True)
            with open(os.path.join(deployment.folder, "failures.log"), "a") as log:
                log.write(f"\n{scenario.__name__}\n{traceback.format_exc()}")
            if scenario is scenarios.first_apply:
                break
    print(f"{passed} passed, {failed} failed", flush=True)
    return failed


def inside():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("hosts: told to stop"))
    short = os.environ.get("HOSTS_SHORT") == "1"
    folder = tempfile.mkdtemp(prefix="floodgate-hosts.", dir=os.environ.get("HOSTS_DIR", "/var/tmp"))
    failed = 1
    deployment = None
    try:
        deployment = Deployment(folder, without_symbols(tools.floodgate(), folder), without_symbols(tools.nats_server(), folder))
        deployment.begin()
        failed = run(deployment, short)
    finally:
        if deployment:
            deployment.end()
        if failed or os.environ.get("HOSTS_KEEP"):
            print(f"hosts: logs are in {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


def main():
    if "--inside" in sys.argv:
        return inside()
    try:
        tools.require()
        tools.floodgate(), tools.nats_server()
    except tools.Missing as missing:
        print(f"SKIPPED: tests on hosts: this needs {missing}")
        return 2
    return tools.inside_namespaces()


if __name__ == "__main__":
    sys.exit(main())
