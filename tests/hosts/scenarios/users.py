"""What each service of a host may do, and what root does not do for it."""

import time

from wait import require, until

from .failure import US_RATE

PARTS = {"nats-server": "nats", "gateway": "gateway", "relay": "relay"}
FOLDERS = {"nats": "jetstream", "gateway": "cache", "relay": "relay"}
SECRETS = {"nats": ["nats.key", "authorization.conf"], "gateway": ["region.key", "gateway.nk", "tls.key"],
           "relay": ["centre.key", "admin.token", "relay.nk", "region-eu.nk"]}
# What root reads from, writes to or runs.
ROOTS = ["/var/lib/floodgate", "/etc/floodgate", "/opt/floodgate", "/opt/floodgate/bin", "/var/log/floodgate",
         "/var/lib/floodgate/installed"]
# A file that must not be harmed, and a folder that must not be written to.
PRECIOUS = "/root/precious"


def least_privilege(deployment, short):
    """Each service has a user of its own, which reads its own secrets and writes to its own folder, and to nothing else."""
    for name, machine in deployment.machines.items():
        part = "relay" if name in deployment.centre else "gateway"
        users = running_as(machine)
        require(users == {"nats": "floodgate-nats", part: f"floodgate-{part}"}, f"{name}: services run as {users}")
        for service, other in (("nats", part), (part, "nats")):
            may_only(machine, service, other)
    return f"two users on each of {len(deployment.machines)} hosts, neither of which reads or writes what is the other's or root's"


def running_as(machine):
    """The user of each service that runs on a host."""
    lines = machine.run("ps -eo user:32,comm,args --no-headers").stdout.splitlines()
    processes = [line.split() for line in lines]
    return {PARTS[words[2].rsplit("/", 1)[-1] if words[1] == "nats-server" else words[3]]: words[0]
            for words in processes if words[1] in ("nats-server", "floodgate")}


def may_only(machine, service, other):
    own, others = f"/var/lib/floodgate/{FOLDERS[service]}", f"/var/lib/floodgate/{FOLDERS[other]}"
    may = [f"-r /etc/floodgate/{file}" for file in SECRETS[service]] + [f"-w {own}", "-r /etc/floodgate/ca.pem"]
    may_not = [f"-r /etc/floodgate/{file}" for file in SECRETS[other]]
    may_not += [f"-w {folder}" for folder in [*ROOTS, others]] + [f"-r {others}", "-r /var/lib/floodgate/installed"]
    for test in may:
        require(may_do(machine, service, f"[ {test} ]"), f"{machine.name}: {service} may not do {test}")
    for test in may_not:
        require(not may_do(machine, service, f"[ {test} ]"), f"{machine.name}: {service} may do {test}")
    planted = "ln -s /etc/passwd /var/lib/floodgate/may-go"
    require(not may_do(machine, service, planted), f"{machine.name}: {service} can put a link where root writes")


def may_do(machine, service, command):
    user = f"floodgate-{service}"
    command = f"setpriv --reuid {user} --regid {user} --init-groups sh -c '{command}'"
    return machine.run(command, check=False).returncode == 0


def earlier_layout(deployment, short):
    """us as an earlier version left it, with all as one user's who has put links where root writes: no link is followed; once
    they are gone the data goes to the users that there are now, and nothing is lost."""
    machine = deployment.machines["us-1"]
    load = deployment.send("earlier", "us", US_RATE)
    time.sleep(2)
    load.stop()
    deployment.all_delivered()
    make_earlier(machine)
    refused = deployment.apply(*again(), codes=(1,)).stdout
    require("is not what root put there" in refused, f"a planted link was not refused: {refused[-1500:]}")
    kept = machine.run(f"ls -A {PRECIOUS}.d; stat -c '%a %U' {PRECIOUS}.d; cat {PRECIOUS}").stdout.split()
    require(kept == ["755", "root", "kept"], f"root followed a planted link: {kept}")
    machine.run("rm /var/lib/floodgate/installed /var/lib/floodgate/may-go")
    deployment.apply(*again())
    after = deployment.send("earlier-after", "us", US_RATE)
    until("us accepts again", after.acknowledged, seconds=60)
    users = running_as(machine)
    require(users == {"nats": "floodgate-nats", "gateway": "floodgate-gateway"}, f"services run as {users}")
    left = machine.run("find /var/lib/floodgate -user floodgate").stdout
    require(not left, f"still the earlier user's: {left}")
    after.stop()
    deployment.all_delivered()
    return f"links refused, then handed over; {len(load.acknowledged() | after.acknowledged())} acknowledged events, all delivered"


def again():
    return ("-replace", 'module.region["us"].module.group.module.host_1.terraform_data.install')


def make_earlier(machine):
    machine.run(f"""
        floodgate-host stop
        id floodgate >/dev/null 2>&1 || useradd --system --no-create-home --gid floodgate floodgate
        mkdir -p {PRECIOUS}.d && chmod 755 {PRECIOUS}.d && echo kept >{PRECIOUS}
        rm -rf /var/lib/floodgate/installed
        chown floodgate:floodgate /var/lib/floodgate
        chown -R floodgate:floodgate /var/lib/floodgate/jetstream /var/lib/floodgate/cache
        setpriv --reuid floodgate --regid floodgate --init-groups ln -s {PRECIOUS}.d /var/lib/floodgate/installed
        setpriv --reuid floodgate --regid floodgate --init-groups ln -s {PRECIOUS} /var/lib/floodgate/may-go""")
