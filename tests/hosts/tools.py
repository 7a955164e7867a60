"""What the tests need besides Python: Debian packages are fetched if apt is there, the rest is named."""

import os
import shutil
import signal
import subprocess
import sys

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGES = {"sshd": "openssh-server", "ssh-keygen": "openssh-client", "haproxy": "haproxy", "ip": "iproute2",
            "mkfs.ext4": "e2fsprogs", "strip": "binutils"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Missing(Exception):
    """Something that the tests cannot do without."""


def find(program):
    return shutil.which(program) or shutil.which(program, path=PATH)


def fetch(packages):
    """Installs Debian packages without starting the services that they bring."""
    if not find("apt-get"):
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    for command in (["apt-get", "update", "-q"], install):
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


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
    if "overlay" not in open("/proc/filesystems").read():
        subprocess.run(["modprobe", "overlay"], stderr=subprocess.DEVNULL, check=False)
    if "overlay" not in open("/proc/filesystems").read():
        gone.append("a kernel with overlayfs")
    if gone:
        raise Missing(", ".join(gone))


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
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation",
               "private", sys.executable, *sys.argv, "--inside"]
    process = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: end_inside(process.pid))
    return process.wait()


def end_inside(outer):
    """Has the process inside end by itself, so that it takes its folder away too."""
    for child in open(f"/proc/{outer}/task/{outer}/children").read().split():
        os.kill(int(child), signal.SIGTERM)
