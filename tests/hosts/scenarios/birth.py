"""From bare hosts to a deployment."""

import os
import time

from wait import require, until

MOST_SECONDS_TO_FIRST_DELIVERY = 180


def first_apply(deployment, short):
    """The first deployment, by root on hosts with the supervisor."""
    return set_up(deployment, "first")


def set_up(deployment, name):
    """`terraform apply`, `floodgate apply`, and a first webhook that is delivered."""
    began = time.time()
    deployment.terraform.init()
    deployment.apply()
    applied = time.time()
    deployment.configure()
    load = deployment.send(name, "eu", rate=5)
    first = until("the first webhook is delivered", lambda: deployment.deliveries_of(load), seconds=60)[0]
    load.stop()
    seconds = first[0] - began
    require(seconds < MOST_SECONDS_TO_FIRST_DELIVERY, f"the first delivery took {seconds:.0f} s")
    deployment.eu_is_up()
    return f"first delivery after {seconds:.0f} s, of which terraform apply {applied - began:.0f} s"


def second_apply(deployment, short):
    """Without a change there is nothing to do, nor in another order of hosts; no host is given up by a change of variables."""
    require(not deployment.terraform.changes(), "a second apply would change something")
    before = pids(deployment)
    deployment.apply()
    require(pids(deployment) == before, "a second apply restarted something")
    hosts = deployment.region("eu")["hosts"]
    require(not changes_with(deployment, {"hosts": hosts[::-1]}), "another order of hosts would change something")
    refused = changes_with(deployment, {"hosts": hosts[:1]}, codes=(1,))
    require("keeps the number of hosts" in refused, f"3 hosts to 1 were not refused: {refused[-1500:]}")
    refused = changes_with(deployment, relay={"shards": 2}, codes=(1,))
    require("keeps the number of shards" in refused, f"another number of shards was not refused: {refused[-1500:]}")
    done = deployment.machines["eu-1"].run("floodgate-host uninstall", check=False)
    require(done.returncode and pids(deployment) == before, "a host of a region at work let itself be removed")
    return "nothing to change, nothing restarted; 3 hosts to 1 refused, as were 2 shards and uninstall"


def changes_with(deployment, eu=None, relay=None, codes=(0, 2)):
    """What a plan says with other values for eu or the relay; nothing if it would change nothing."""
    values = deployment.values()
    values["regions"]["eu"] |= eu or {}
    values["centre"]["relay"] |= relay or {}
    deployment.terraform.variables(values)
    done = deployment.terraform.run("plan", "-no-color", "-detailed-exitcode", codes=codes)
    deployment.write_variables()
    return done.stdout if done.returncode else ""


def pids(deployment):
    return {name: machine.run("cat /run/floodgate/*.pid").stdout for name, machine in deployment.machines.items()}


def secrets_stay_secret(deployment, short):
    """No secret in the state, in a file that others can read, or left behind by the upload."""
    state = deployment.terraform.state()
    secrets = list(private_files(deployment.secrets))
    for path in secrets:
        text = open(path).read().strip()
        inner = [line for line in text.splitlines() if len(line) > 20 and "-----" not in line]
        require(inner, f"{path} is empty")
        require(not any(line in state for line in inner), f"the state holds {path}")
        require(os.stat(path).st_mode & 0o077 == 0, f"others can read {path}")
    for name, machine in deployment.machines.items():
        left = [path for path in machine.written("*.key", "*.nk", "*.token", "*.pem", "*.conf", "*.toml")
                if os.stat(path).st_mode & 0o007 and "/ssh" not in path]
        require(not left, f"{name}: others can read {left}")
        require(not list(machine.written(".floodgate-staging")), f"{name}: the upload is still there")
    return f"{len(secrets)} private files, none in the state, none that others can read here or on a host"


def private_files(folder):
    for parent, _, files in os.walk(folder):
        for file in files:
            if file.endswith((".key", ".nk", ".token")):
                yield os.path.join(parent, file)


def doctor(deployment, short):
    """`floodgate doctor` finds nothing wrong on any host."""
    for name, machine in deployment.machines.items():
        done = machine.run("floodgate-host doctor", check=False)
        require(done.returncode == 0, f"{name}: {done.stdout}{done.stderr}")
    return f"nothing wrong on {len(deployment.machines)} hosts"
