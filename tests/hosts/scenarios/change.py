"""Changes under load."""

import os
import shutil
import time

from deployment import REGIONS
from traffic import counted, failures, percentile_ms, slowest_ms
from wait import require, until

from .end import LEFT
from .failure import not_open_to

RATE = 60


def under_load(deployment, name, change):
    """Makes a change while eu gets webhooks; none may fail, none may be refused."""
    deployment.eu_is_up()
    load = deployment.send(name, "eu", RATE)
    time.sleep(3)
    began = time.time()
    change()
    seconds = time.time() - began
    deployment.eu_is_up()
    time.sleep(3)
    outcomes = unharmed(deployment, load)
    again = sum(line["first"] is not None for line in outcomes)
    return (f"{seconds:.0f} s, {counted(outcomes)} and no other outcome, p99 {percentile_ms(outcomes, 0.99)} ms, slowest "
            f"{slowest_ms(outcomes)} ms, {again} sent again because an idle kept connection had been closed")


def unharmed(deployment, load):
    """Ends a load: each of its requests was accepted, and is delivered."""
    load.stop()
    deployment.all_delivered()
    outcomes = load.outcomes()
    bad = failures(outcomes)
    require(not bad, f"{counted(outcomes)}: {bad[:3]}")
    return outcomes


def rolling_upgrade(deployment, short):
    """New programs on every host, one after the other."""
    before = releases(deployment)
    deployment.binaries = {name: another_build(path) if name != "local_floodgate" else path
                           for name, path in deployment.binaries.items()}
    figures = under_load(deployment, "upgrade", deployment.apply)
    after = releases(deployment)
    require(not before & after, "a host still runs an old release")
    require(not deployment.terraform.changes(), "a second apply would change something")
    return f"floodgate and nats-server on {len(deployment.machines)} hosts: {figures}"


def another_build(path):
    """The same program as another file: what is behind an executable's sections does no harm."""
    other = path + ".next"
    shutil.copy(path, other)
    with open(other, "ab") as file:
        file.write(b"another build")
    return other


def releases(deployment):
    """What the processes on the hosts really run."""
    running = "for p in $(pgrep -x 'floodgate|nats-server'); do readlink /proc/$p/exe; done"
    return {line for machine in deployment.machines.values() for line in machine.run(running).stdout.split()}


def configuration_changed(deployment, short):
    """Another setting of the gateways, host by host."""
    deployment.grace += 1
    figures = under_load(deployment, "configuration", deployment.apply)
    for name in REGIONS["eu"]:
        text = deployment.machines[name].run("cat /etc/floodgate/gateway.toml").stdout
        require(f"grace_seconds = {deployment.grace}" in text, f"{name} has the old configuration")
    return figures


def keys_rotated(deployment, short):
    """New user keys and certificates in the centre and in eu."""
    before = certificate(deployment)
    old_key = os.path.join(deployment.secrets, "regions", "eu", "gateways", f"eu-1.{deployment.rotations['eu']}.nk.pub")
    deployment.rotations["eu"] += 1
    deployment.rotations["centre"] += 1
    figures = under_load(deployment, "rotation", deployment.apply)
    require(certificate(deployment) != before, "the certificate is the old one")
    users = deployment.machines["eu-1"].run("cat /etc/floodgate/authorization.conf").stdout
    require(open(old_key).read().strip() not in users, "the old key is still let in")
    return figures


def certificate(deployment):
    return deployment.machines["eu-1"].run("sha256sum /etc/floodgate/nats.pem").stdout


def replaced_host(deployment, short):
    """eu-2 comes back as an empty machine of the same name and address."""
    def replace():
        machine = deployment.machines.pop("eu-2")
        machine.kill()
        gone = time.time()
        shutil.rmtree(machine.folder)
        deployment.boot("eu-2", REGIONS["eu"]["eu-2"])
        deployment.apply("-replace", 'module.region["eu"].module.group.module.host_2[0].terraform_data.presence')
        return gone

    deployment.eu_is_up()
    load = deployment.send("replaced", "eu", RATE)
    time.sleep(3)
    began = time.time()
    gone = replace()
    deployment.eu_is_up(120)
    seconds = time.time() - began
    load.stop()
    deployment.all_delivered()
    bad = failures(load.outcomes())
    elsewhere = not_open_to(deployment, "eu-2", gone, bad)
    require(not elsewhere, f"failed otherwise than on connections that were open to eu-2: {counted(bad)}; {elsewhere[:3]}")
    return f"empty machine in the group again after {seconds:.0f} s; {counted(load.outcomes())}, nothing acknowledged lost"


def region_added(deployment, short):
    """A third region, while the others work."""
    deployment.boot("ap-1", REGIONS["ap"]["ap-1"])
    deployment.regions.append("ap")
    figures = under_load(deployment, "added", deployment.apply)
    load = deployment.send("ap", "ap", 10)
    until("ap accepts", load.acknowledged, seconds=60)
    time.sleep(2)
    load.stop()
    deployment.all_delivered()
    require(any(region == "ap" for _, _, region in deployment.consumer.deliveries()), "nothing came through ap")
    return f"{len(load.acknowledged())} events through ap delivered; meanwhile eu: {figures}"


def region_removed(deployment, short):
    """ap goes: drained, then nothing of it is left."""
    load = deployment.send("ap-last", "ap", 20)
    time.sleep(3)
    deployment.regions.remove("ap")
    figures = under_load(deployment, "removed", deployment.apply)
    load.stop()
    deployment.all_delivered()
    left = deployment.machines["ap-1"].run(LEFT).stdout
    require(not left, f"left behind: {left}")
    known = {region["name"] for region in deployment.get("/v1/regions")["items"]}
    require(known == set(deployment.regions), f"the centre knows {known}")
    books = deployment.books()
    require(books["balanced"], f"the books do not balance: {books['events']}")
    deployment.machines.pop("ap-1").stop()
    return (f"{len(load.acknowledged())} acknowledged by ap until it stopped, all delivered; nothing left on its host; "
            f"eu: {figures}")
