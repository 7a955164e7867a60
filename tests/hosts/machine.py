"""A host of the tests: a network, process and mount namespace with its own root (an overlay over this machine's), sshd,
and what boots with it."""

import fnmatch
import os
import signal
import subprocess
import time

from wait import require, until

BRIDGE = "floodgate0"
HERE = os.path.dirname(os.path.abspath(__file__))
BOOT = os.path.join(HERE, "boot.sh")


def bridge(address):
    """The network that all hosts and this process are on."""
    ip("link", "set", "lo", "up")
    ip("link", "add", BRIDGE, "type", "bridge")
    ip("addr", "add", f"{address}/16", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


class Machine:
    """One host. Its disk survives `kill`, as a machine's does a loss of power to its processes."""

    def __init__(self, name, address, folder, disk_mb=None, systemd=False):
        self.name, self.address, self.folder = name, address, os.path.join(folder, name)
        self.process = None
        # The control group in which it boots systemd, if it does.
        self.group = f"{os.path.basename(os.path.dirname(folder))}.{name}" if systemd else ""
        for part in ("upper", "work", "root", "ssh"):
            os.makedirs(os.path.join(self.folder, part))
        self.disk = self.own_disk(disk_mb) if disk_mb else ""
        self.host_key = self.make_host_key()

    def own_disk(self, megabytes):
        """A small filesystem for /var/lib/floodgate, that a test can fill."""
        image = os.path.join(self.folder, "disk.img")
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        return image

    def make_host_key(self):
        key = os.path.join(self.folder, "ssh", "host_key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        return open(key + ".pub").read().strip()

    def boot(self, authorized_key):
        with open(os.path.join(self.folder, "ssh", "authorized_keys"), "w") as file:
            file.write(authorized_key)
        log = open(os.path.join(self.folder, "boot.log"), "ab")
        self.process = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--propagation", "private",
             BOOT, self.folder, self.name, self.address, self.disk, self.group],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        until(f"{self.name} has a network of its own", self.has_network, seconds=10)
        self.plug()
        until(f"{self.name} answers by SSH", lambda: answers(self.address, 22), seconds=20)

    def has_network(self):
        try:
            return os.readlink(f"/proc/{self.process.pid}/ns/net") != os.readlink("/proc/self/ns/net")
        except OSError:
            return False

    @property
    def port(self):
        """The bridge's end of its cable."""
        return f"v-{self.name}"

    def plug(self):
        # The same hardware address at each boot, so that nobody's table of neighbours is out of date.
        hardware = "02:00:" + ":".join(f"{int(part):02x}" for part in self.address.split("."))
        ip("link", "add", self.port, "type", "veth", "peer", "name", "eth0", "address", hardware, "netns", str(self.process.pid))
        ip("link", "set", self.port, "master", BRIDGE, "up")

    def kill(self):
        """All its processes and its link at once, without a word to anybody."""
        ip("link", "set", self.port, "down")
        self.stop()
        ip_quietly("link", "delete", self.port)

    def run(self, command, check=True):
        """A shell command on the host, past its sshd."""
        done = subprocess.run(self.enter(command), check=False, capture_output=True, text=True, timeout=120)
        require(not check or done.returncode == 0, f"{self.name}: {command}: {done.stdout}{done.stderr}")
        return done

    def enter(self, command):
        """What runs a shell command on the host."""
        inside = ["nsenter", "-t", str(self.inner_pid()), "--net", "--mount", "--uts", "--pid", "--root", "--wd"]
        return [*inside, "/bin/bash", "-c", command]

    def send(self, source, target):
        """A folder from here to the host."""
        self.pipe(["tar", "-C", source, "-c", "."], self.enter(f"mkdir -p {target} && tar -C {target} -x"))

    def fetch(self, source, target):
        """A folder of the host to here."""
        os.makedirs(target)
        self.pipe(self.enter(f"tar -C {source} -c ."), ["tar", "-C", target, "-x"])

    @staticmethod
    def pipe(writer, reader):
        with subprocess.Popen(writer, stdout=subprocess.PIPE) as process:
            subprocess.run(reader, stdin=process.stdout, check=True, timeout=120)
        require(process.returncode == 0, f"{writer[-1]} failed")

    def written(self, *patterns):
        """Files and folders with such names that the machine wrote, as paths here."""
        for parent, folders, files in os.walk(os.path.join(self.folder, "upper")):
            for name in folders + files:
                if any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                    yield os.path.join(parent, name)

    def inner_pid(self):
        children = open(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read().split()
        return int(children[0])

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.group:
            self.remove_group()

    def remove_group(self):
        """The control groups that systemd made do not go with its processes; they can once the last of these is gone."""
        remove = '''
            mount -t cgroup2 cgroup2 "$1"
            for try in 1 2 3 4 5 6 7 8 9 10; do
                [ -d "$1/$2" ] || exit 0
                find "$1/$2" -depth -type d -exec rmdir {} + 2>/dev/null
                sleep 0.1
            done'''
        subprocess.run(["unshare", "--mount", "sh", "-c", remove, "_", os.path.join(self.folder, "root"), self.group],
                       check=False)


def ip_quietly(*arguments):
    subprocess.run(["ip", *arguments], check=False, stderr=subprocess.DEVNULL)


def answers(address, port):
    import socket
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        time.sleep(0.05)
        return False
