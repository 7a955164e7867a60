"""The deployment under test: its hosts, what Terraform is told about them, and its admin API."""

import base64
import json
import os
import subprocess
import urllib.request

from balancer import Balancer
from machine import Machine, bridge
from terraform import Terraform
from traffic import Consumer, Link, Load
from wait import Failed, until

OPERATOR = "10.77.0.1"
CENTRE = {"centre-1": "10.77.0.11"}
CENTRE_OF_THREE = {**CENTRE, "centre-2": "10.77.0.12", "centre-3": "10.77.0.13"}
REGIONS = {"eu": {"eu-1": "10.77.1.1", "eu-2": "10.77.1.2", "eu-3": "10.77.1.3"}, "us": {"us-1": "10.77.2.1"},
           "ap": {"ap-1": "10.77.3.1"}}
SENDERS_NAME = "hooks.floodgate.test"
SENDERS_PORT, NATS_PORT, CONSUMER_PORT = 8443, 4222, 9000
# Where the line to eu begins for the centre: a port for each of its servers.
LINK_PORT = 14222
# us is small, so that it can be filled.
US_DISK_MB = 1024
GRACE_SECONDS = 3


class Deployment:
    def __init__(self, folder, floodgate, nats_server):
        self.folder, self.floodgate = folder, floodgate
        self.binaries = {"floodgate": floodgate, "nats_server": nats_server}
        self.secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
        self.machines, self.loads = {}, []
        self.rotations = {"centre": 1, "eu": 1, "us": 1, "ap": 1}
        self.force_destroy, self.grace = False, GRACE_SECONDS
        self.centre, self.regions = CENTRE, ["eu", "us"]
        # Groups whose relays or gateways are not run, and who Terraform comes as.
        self.held, self.user, self.systemd = set(), "root", False
        self.secrets = os.path.join(folder, "secrets")
        self.key = os.path.join(folder, "operator.key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self.terraform = Terraform(os.path.join(folder, "terraform"))

    def begin(self):
        """The machines as an operator gets them: bare, with sshd."""
        bridge(OPERATOR)
        self.consumer = Consumer(self.folder, OPERATOR, CONSUMER_PORT)
        eu = list(REGIONS["eu"].values())
        self.link = Link([(f"{OPERATOR}:{LINK_PORT + i}", f"{host}:{NATS_PORT}") for i, host in enumerate(eu)])
        self.balancer = Balancer(self.folder, f"{OPERATOR}:{SENDERS_PORT}", [
            {"name": name, "address": address, "port": 443, "health": 9090} for name, address in REGIONS["eu"].items()])
        for name, address in {**CENTRE, **REGIONS["eu"], **REGIONS["us"]}.items():
            self.boot(name, address)

    def boot(self, name, address):
        if name not in self.machines:
            disk = US_DISK_MB if name == "us-1" else None
            self.machines[name] = Machine(name, address, os.path.join(self.folder, "machines"), disk, self.systemd)
        self.machines[name].boot(open(self.key + ".pub").read())

    def hosts(self, of):
        return [{"name": name, "address": address, "host_key": self.machines[name].host_key}
                for name, address in of.items()]

    def region(self, name):
        hosts = REGIONS[name]
        region = {"hosts": self.hosts(hosts), "rotation": self.rotations[name], "hold": name in self.held,
                  "sender_names": [SENDERS_NAME], "gateway": {"drain_grace_seconds": self.grace}, "outage_hours": 1,
                  "events_per_second": 20}
        if name == "eu":
            region["nats_urls"] = [f"tls://{OPERATOR}:{LINK_PORT + i}" for i in range(len(hosts))]
            region["nats_names"] = [OPERATOR]
        return region

    def write_variables(self):
        self.terraform.variables(self.values())

    def values(self):
        return {
            "binaries": self.binaries,
            "ssh": {"private_key_file": self.key, "ssh_user": self.user},
            "secrets_dir": self.secrets,
            # 64 MiB for refused requests, 64 MiB for held ones, and the buckets.
            "store_reserve_bytes": 192 << 20,
            "force_destroy": self.force_destroy,
            "centre": {"hosts": self.hosts(self.centre), "rotation": self.rotations["centre"], "hold": "centre" in self.held,
                       "max_file_store_bytes": 16 << 30, "relay": self.relay()},
            "regions": {name: self.region(name) for name in self.regions},
        }

    @property
    def centre_host(self):
        return self.machines[next(iter(self.centre))]

    def relay(self):
        relay = {"allow_networks": ["10.77.0.0/16"], "kept_seconds": 600}
        return relay if len(self.centre) > 1 else relay | {"lease_seconds": 5}

    def apply(self, *arguments, codes=(0,)):
        self.write_variables()
        return self.terraform.apply(*arguments, codes=codes)

    @property
    def api(self):
        """The admin API of the first relay that answers."""
        urls = [admin_url(address) for address in self.centre.values()]
        return until("an admin API answers", lambda: next(filter(is_ready, urls), None), 60)

    def token(self):
        return open(os.path.join(self.secrets, "centre", "admin.token")).read().strip()

    def get(self, path):
        request = urllib.request.Request(self.api + path, headers={"authorization": f"Bearer {self.token()}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def books(self):
        return self.get("/v1/books")

    def configure(self):
        """One source, one destination, as an operator applies them."""
        path = os.path.join(self.folder, "floodgate.toml")
        with open(path, "w") as file:
            file.write(f"""[sources.orders]
verify = {{ scheme = "standard", secrets = [{{ env = "ORDERS_SECRET" }}] }}
[destinations.shop]
url = "{self.consumer.url}"
subscribe = {{ types = ["order.*"], sources = ["orders"] }}
secrets = [{{ env = "ORDERS_SECRET" }}]
concurrency = 32
retry = {{ schedule_seconds = [2, 5, 10, 30, 60] }}
""")
        environment = {**os.environ, "FLOODGATE_API": self.api, "FLOODGATE_TOKEN": self.token(), "ORDERS_SECRET": self.secret}
        done = subprocess.run([self.floodgate, "apply", "-f", path], env=environment, text=True, capture_output=True,
                              timeout=120, check=False)
        if done.returncode:
            raise Failed(f"floodgate apply: {done.stdout}{done.stderr}")

    def send(self, name, region, rate, repeats_of=None):
        target = {"host": OPERATOR, "port": SENDERS_PORT, "name": SENDERS_NAME}
        if region != "eu":
            target |= {"host": next(iter(REGIONS[region].values())), "port": 443}
        ca = os.path.join(self.secrets, "ca", "ca.pem")
        load = Load(name, self.folder, target, ca, self.secret, rate, repeats_of)
        self.loads.append(load)
        return load

    def end_loads(self):
        """Ends what a scenario that failed has left running."""
        stop_all(self.loads)

    def acknowledged(self):
        return set().union(*(load.acknowledged() for load in self.loads)) if self.loads else set()

    def deliveries_of(self, load, since=0.0):
        """Time, id and region of each delivery of what a load got acknowledged."""
        mine = load.acknowledged()
        return [delivery for delivery in self.consumer.deliveries() if delivery[0] >= since and delivery[1] in mine]

    def all_delivered(self, seconds=120):
        """Waits until every acknowledged event was delivered, and the books have nothing open."""
        acknowledged = self.acknowledged()
        until(f"all {len(acknowledged)} acknowledged events are delivered",
              lambda: acknowledged <= self.consumer.ids(), seconds, every=0.5)
        return acknowledged

    def eu_is_up(self, seconds=60):
        until("all hosts of eu are behind the balancer", lambda: self.balancer.up() == set(REGIONS["eu"]), seconds)

    def end(self):
        stop_all([*self.loads, *self.machines.values(), *(getattr(self, name, None) for name in ("balancer", "link", "consumer"))])


def admin_url(address):
    return f"http://{address}:8400"


def is_ready(url):
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5):
            return True
    except OSError:
        return False


def stop_all(parts):
    for part in parts:
        if part:
            try:
                part.stop()
            except Exception as error:  # What is left dies with the namespace.
                print(f"hosts: {error}", flush=True)
