"""What the tests need besides Python: Debian packages are fetched if apt is there, the rest is named."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGES = {"sshd": "openssh-server", "ssh-keygen": "openssh-client", "haproxy": "haproxy", "ip": "iproute2",
            "mkfs.ext4": "e2fsprogs", "strip": "binutils", "sudo": "sudo"}
NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Missing(Exception):
    """Something that the tests cannot do without."""


def find(program):
    return shutil.which(program) or shutil.which(program, path=PATH)


def fetch(packages):
    """Installs Debian packages without starting the services that they bring."""
    if not find("apt-get"):
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    with no_services():
        for command in (["apt-get", "update", "-q"], install):
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


@contextmanager
def no_services():
    """Debian's way to forbid that an installation starts services; a rule that is there already stays."""
    rule = "/usr/sbin/policy-rc.d"
    own = not os.path.lexists(rule)
    if own:
        with open(rule, "w") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(rule, 0o755)
    try:
        yield
    finally:
        if own:
            os.remove(rule)


def refused():
    """Why this machine does not let hosts be made, if so: the same namespaces and the same kind of mount, tried."""
    with tempfile.TemporaryDirectory(prefix="floodgate-hosts.", dir=os.environ.get("HOSTS_DIR", "/var/tmp")) as folder:
        for part in ("upper", "work", "root"):
            os.mkdir(os.path.join(folder, part))
        mount = f"lowerdir=/,upperdir={folder}/upper,workdir={folder}/work"
        tried = {
            "namespaces (unshare)": ["true"],
            "an overlay mount": ["mount", "-t", "overlay", "overlay", "-o", mount, os.path.join(folder, "root")],
        }
        for what, command in tried.items():
            done = subprocess.run([*NAMESPACES, *command], capture_output=True, text=True, check=False)
            if done.returncode:
                return f"{what}: {done.stderr.strip() or 'refused'}"
    return None


def has_filesystem(name):
    return name in open("/proc/filesystems").read().split()


def can_boot_systemd():
    return os.path.exists("/lib/systemd/systemd") and has_filesystem("cgroup2")


def require():
    """Gets what is missing, and says by name what cannot be had."""
    if os.geteuid() != 0:
        raise Missing("root, for network namespaces")
    missing = sorted({package for program, package in PACKAGES.items() if not find(program)})
    if missing:
        print(f"hosts: fetching {', '.join(missing)} from Debian", flush=True)
        fetch(missing)
    gone = [f"{program} (Debian's {package})" for program, package in PACKAGES.items() if not find(program)]
    if not find("terraform"):
        gone.append("terraform 1.8 or newer")
    if not has_filesystem("overlay"):
        subprocess.run(["modprobe", "overlay"], stderr=subprocess.DEVNULL, check=False)
    if not has_filesystem("overlay"):
        gone.append("a kernel with overlayfs")
    reason = None if gone else refused()
    if gone or reason:
        raise Missing(", ".join(gone) or reason)


def floodgate():
    """The program under test."""
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(REPOSITORY, "target"))
    return existing(os.environ.get("FLOODGATE_BINARY") or os.path.join(target, "release", "floodgate"))


def nats_server():
    return existing(os.environ.get("FLOODGATE_NATS_SERVER") or os.path.join(REPOSITORY, ".tools", "nats-server"))


def existing(path):
    if not os.access(path, os.X_OK):
        raise Missing(f"{path}, which `make hosts` builds or fetches")
    return path


def inside_namespaces():
    """Runs this program again in namespaces of its own: when it ends, however it ends, the kernel takes away every
    process, mount and interface that it made."""
    command = [*NAMESPACES, sys.executable, *sys.argv, "--inside"]
    process = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: end_inside(process.pid))
    return process.wait()


def end_inside(outer):
    """Has the process inside end by itself, so that it takes its folder away too."""
    for child in open(f"/proc/{outer}/task/{outer}/children").read().split():
        os.kill(int(child), signal.SIGTERM)
