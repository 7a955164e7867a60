"""Another deployment, on hosts that boot systemd: a centre of three and a region of three, set up by a user who is root by
sudo only."""

import json
import os
import shutil
import time
import urllib.request
from collections import Counter

from deployment import CENTRE_OF_THREE, REGIONS
from tools import can_boot_systemd
from traffic import counted, slowest_ms
from wait import require, until

from .birth import doctor, set_up
from .change import RATE, under_load, unharmed
from .end import cut_off, destroyed
from .failure import settled_books

METRICS_PORT = 9400
AS_RELAY = "setpriv --reuid=floodgate-relay --regid=floodgate-relay --init-groups /opt/floodgate/bin/floodgate"
# Where a backup waits on a host of the centre, in a folder of the relay's user, and how many events
# a second come in meanwhile.
BACKUPS = "/var/lib/floodgate/backups"
BACKUP = f"{BACKUPS}/one"
BACKUP_RATE = 20


def clustered(deployment, short):
    """From nothing to the first delivery, three copies of everything on both sides."""
    if os.path.exists(deployment.secrets):
        deployment.terraform.destroy()
    for name in list(deployment.machines):
        remove(deployment, name)
    deployment.secrets = os.path.join(deployment.folder, "secrets-of-three")
    deployment.centre, deployment.regions, deployment.user = CENTRE_OF_THREE, ["eu"], "deploy"
    deployment.systemd = can_boot_systemd()
    for name, address in {**CENTRE_OF_THREE, **REGIONS["eu"]}.items():
        deployment.boot(name, address)
    figures = set_up(deployment, "three")
    healthy = doctor(deployment, short)
    require(not deployment.terraform.changes(), "a second apply would change something")
    return f"by sudo, on hosts with {init(deployment)}: {figures}; {healthy}"


def init(deployment):
    """What looks after the services; if systemd, then it says so."""
    if not deployment.systemd:
        return "no systemd, which this machine cannot boot"
    for machine in deployment.machines.values():
        machine.run("systemctl is-active floodgate-nats floodgate-watch.timer && ! ls /run/floodgate/*.pid")
    return "systemd"


def relay_killed(deployment, short):
    """The host whose relay writes the log is lost: another relay takes over, and eu notices nothing."""
    load = deployment.send("relay-killed", "eu", RATE)
    time.sleep(4)
    name = until("a relay writes", lambda: writer(deployment), seconds=30)
    deployment.machines[name].kill()
    killed = time.time()
    until("another relay writes", lambda: writer(deployment) not in (None, name), seconds=90)
    took_over = time.time() - killed
    until("deliveries go on", lambda: deployment.deliveries_of(load, since=killed + took_over), seconds=60)
    resumed = time.time() - killed
    deployment.boot(name, CENTRE_OF_THREE[name])
    deployment.machines[name].run("floodgate-host wait-ready")
    outcomes = unharmed(deployment, load)
    settled_books(deployment)
    return (f"{name} killed: another relay wrote after {took_over:.0f} s (lease of 30 s), deliveries went on after "
            f"{resumed:.0f} s; eu: {counted(outcomes)}, slowest {slowest_ms(outcomes)} ms; all delivered, books balance")


def writer(deployment):
    """The host of the centre whose relay says that it writes."""
    says_so = 'floodgate_log_writer{shard="0"} 1'
    return next((name for name, address in deployment.centre.items() if says_so in metrics(address)), None)


def metrics(address):
    try:
        with urllib.request.urlopen(f"http://{address}:{METRICS_PORT}/metrics", timeout=2) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def centre_rolled(deployment, short):
    """New keys and certificates for the centre: nats-server and relay of each host are restarted, one host at a time."""
    def rotate():
        deployment.rotations["centre"] += 1
        deployment.apply()
    figures = under_load(deployment, "centre-rolled", rotate)
    settled_books(deployment)
    return f"eu: {figures}; all delivered, books balance"


def centre_restored(deployment, short):
    """All three hosts of the centre are lost with their disks; a backup is put back while eu goes on."""
    load = deployment.send("centre-lost", "eu", BACKUP_RATE)
    time.sleep(5)
    kept = backup(deployment, "centre-backup")
    time.sleep(5)
    lost = time.time()
    lose(deployment, CENTRE_OF_THREE)
    deployment.held = {"centre"}
    deployment.apply(*replaced("module.centre"))
    outcome = restore(deployment, kept)
    release(deployment)
    deployment.configure()
    outcomes = unharmed(deployment, load)
    back = time.time() - lost
    settled_books(deployment)
    again = repeated(deployment, load)
    return (f"{outcome}; all delivered {back:.0f} s after the loss, {again} of {len(load.acknowledged())} twice under the "
            f"same id; eu: {counted(outcomes)}; books balance")


def region_restored(deployment, short):
    """eu holds what no relay has copied; it is backed up, its hosts are lost with their disks, the backup is put back."""
    deployment.held = {"centre"}
    deployment.apply()
    if deployment.systemd:
        deployment.centre_host.run("! systemctl is-enabled floodgate-relay && ! systemctl is-active floodgate-relay")
    load = deployment.send("eu-lost", "eu", BACKUP_RATE)
    until("eu holds events", lambda: len(load.acknowledged()) > 100, seconds=30)
    load.stop()
    held = load.acknowledged()
    require(not held & deployment.consumer.ids(), "the centre was not held")
    kept = backup(deployment, "eu-backup", "--region", "eu")
    lose(deployment, REGIONS["eu"])
    deployment.held = {"centre", "eu"}
    deployment.apply(*replaced('module.region["eu"]'))
    outcome = restore(deployment, kept, "--region", "eu")
    release(deployment)
    deployment.eu_is_up()
    deployment.all_delivered()
    settled_books(deployment)
    return f"{outcome}; {len(held)} events that only the backup had were delivered; books balance"


def forced(deployment, short):
    """Destroyed although eu holds what the centre does not have, as force_destroy says; nothing is left here either."""
    load = cut_off(deployment, "given-up").stop()
    held = len(load.acknowledged() - deployment.consumer.ids())
    require(held, "eu holds nothing")
    deployment.force_destroy = True
    deployment.apply()
    return f"{destroyed(deployment, short)}, {held} events given up by force"


def lose(deployment, hosts):
    """The machines with all that was on them; empty ones come in their place."""
    for name in hosts:
        deployment.machines[name].kill()
    for name, address in hosts.items():
        remove(deployment, name)
        deployment.boot(name, address)


def remove(deployment, name):
    machine = deployment.machines.pop(name)
    machine.stop()
    shutil.rmtree(machine.folder)


def replaced(group):
    """What tells Terraform that all hosts of a group are new."""
    for host in ("host_1", "host_2[0]", "host_3[0]"):
        yield from ("-replace", f"{group}.module.group.module.{host}.terraform_data.presence")


def release(deployment):
    deployment.held = set()
    deployment.apply()


def backup(deployment, name, *of):
    """Made on a host of the centre, kept elsewhere."""
    make_backups_folder(deployment.centre_host)
    deployment.centre_host.run(f"{AS_RELAY} backup --relay /etc/floodgate/relay.toml {' '.join(of)} --out {BACKUP}")
    kept = os.path.join(deployment.folder, name)
    deployment.centre_host.fetch(BACKUP, kept)
    deployment.centre_host.run(f"rm -r {BACKUP}")
    return kept


def make_backups_folder(host):
    host.run(f"install -d -m 0700 -o floodgate-relay -g floodgate-relay {BACKUPS}")


def restore(deployment, kept, *of):
    """Put back from a host of the centre; nothing that the backup should have may be lost."""
    host = deployment.centre_host
    make_backups_folder(host)
    host.send(kept, BACKUP)
    host.run(f"chown -R floodgate-relay: {BACKUP}")
    done = host.run(f"{AS_RELAY} restore --relay /etc/floodgate/relay.toml {' '.join(of)} --from {BACKUP} --json")
    host.run(f"rm -r {BACKUP}")
    feeds = json.loads(done.stdout)["outlook"]["feeds"]
    lost = {feed["lost"] for feed in feeds}
    require(feeds and lost <= ({0, None} if of else {0}), f"the restore gave blocks up: {feeds}")
    return f"{len(feeds)} lanes, {sum(feed['to_copy'] for feed in feeds)} blocks to copy, lost {sorted(map(str, lost))}"


def repeated(deployment, load):
    """How many events of a load were delivered more than once."""
    times = Counter(identity for _, identity, _ in deployment.deliveries_of(load))
    return sum(count > 1 for count in times.values())
