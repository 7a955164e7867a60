"""Failures under load."""

import time

from deployment import REGIONS
from traffic import counted, failures, slowest_ms
from wait import require, until

EU_RATE, US_RATE = 60, 20
LEAST_CATCH_UP = 5
# Behind by no more than what is under way at any time.
LEVEL_EVENTS = EU_RATE // 2


def link_cut(deployment, short):
    """The line between eu and the centre is cut under load."""
    return cut(deployment, "cut", 20 if short else 120, "open")


def link_slow(deployment, short):
    """100 ms each way: eu goes on, the centre keeps up, and catches up after a cut."""
    deployment.link.say("delay 0.1")
    return "100 ms each way, " + cut(deployment, "slow", 10 if short else 60, "delay 0.1")


def cut(deployment, name, cut_seconds, healing):
    """The line to eu is cut for so long; a tenth of what us gets eu has had too."""
    before = deployment.books()["events"]["duplicate"]
    eu = deployment.send(f"{name}-eu", "eu", EU_RATE)
    us = deployment.send(f"{name}-us", "us", US_RATE, repeats_of=f"{name}-eu")
    try:
        time.sleep(5)
        behind = len(eu.acknowledged() - deployment.consumer.ids())
        require(behind < EU_RATE, f"{behind} events behind before the cut")
        deployment.link.say("cut")
        time.sleep(cut_seconds)
        deployment.link.say(healing)
        healed = time.time()
        level = until("eu is level again", lambda: caught_up(deployment, eu), seconds=180, every=0.25)
        eu.stop(), us.stop()
        acknowledged = deployment.all_delivered()
    finally:
        deployment.link.say("open")
    during = eu.outcomes() + us.outcomes()
    require(not failures(during), f"requests failed: {counted(during)}; {failures(during)[:3]}")
    backlog, rate = caught_up_at(deployment, eu, healed, level)
    require(rate >= LEAST_CATCH_UP * EU_RATE, f"caught up at {rate:.0f} events/s, arrivals {EU_RATE}/s")
    repeated = recognised(deployment, eu, us, before)
    return (f"cut {cut_seconds} s: {counted(during)}, slowest {slowest_ms(during)} ms; {backlog} events caught up in "
            f"{level - healed:.1f} s from the cut's end, {rate:.0f}/s against {EU_RATE}/s arriving; {repeated} events "
            f"through both regions stored once; {len(acknowledged)} acknowledged, all delivered, books balance")


def recognised(deployment, eu, us, before):
    """How many events came through both regions; the books have each of them as a duplicate."""
    repeated = len(eu.acknowledged() & us.acknowledged())
    found = settled_books(deployment)["events"]["duplicate"] - before
    require(0 < repeated <= found, f"{repeated} events came through two regions, {found} were recognised")
    return repeated


def caught_up(deployment, eu):
    """The time at which nearly all that eu acknowledged was delivered."""
    if len(eu.acknowledged() - deployment.consumer.ids()) < LEVEL_EVENTS:
        return time.time()
    return None


def caught_up_at(deployment, eu, healed, level):
    """Events of eu delivered between the cut's end and when it was level, connecting again included; how many a second."""
    count = len({identity for at, identity, _ in deployment.deliveries_of(eu, since=healed) if at <= level})
    return count, count / (level - healed)


def settled_books(deployment):
    """The books, once nothing is under way any more."""
    def settled():
        books = deployment.books()
        done = books["balanced"] and not books["events"]["in_transit"] and not books["deliveries"]["pending"]
        return books if done else None
    return until("the books balance with nothing open", settled, seconds=60, every=0.5)


def host_killed(deployment, short):
    """Each host of eu in turn loses its processes and its link."""
    return "; ".join(one_killed(deployment, name, short) for name in list(REGIONS["eu"])[-1 if short else 0:])


def one_killed(deployment, name, short):
    deployment.eu_is_up()
    load = deployment.send(f"kill-{name}", "eu", EU_RATE)
    time.sleep(4)
    deployment.machines[name].kill()
    killed = time.time()
    time.sleep(10 if short else 20)
    deployment.boot(name, REGIONS["eu"][name])
    booted = time.time()
    deployment.eu_is_up(seconds=120)
    deployment.machines[name].run("floodgate-host wait-ready")
    back = time.time() - booted
    time.sleep(3)
    load.stop()
    deployment.all_delivered()
    outcomes = load.outcomes()
    bad = failures(outcomes)
    elsewhere = not_open_to(deployment, name, killed, bad)
    require(not elsewhere, f"{name} killed: requests failed elsewhere than on its open connections: {elsewhere[:3]}")
    during = [line for line in outcomes if line["ended"] >= killed]
    again = [line["first"] for line in outcomes if line["first"]]
    healthy = [first for first in again if deployment.balancer.host_of(first) != name]
    require(not healthy, f"{name} killed: a host that was well hung up: {healthy[:3]}")
    return (f"{name}: {counted(outcomes)}, failed only on connections open to it, {len(again)} sent again as such a "
            f"kept connection had closed, slowest answer {slowest_ms(during)} ms, nothing acknowledged lost, back in the group {back:.0f} s after its boot")


def not_open_to(deployment, host, gone, bad):
    """Failed requests that are not explained by a connection to a host that was open when that was gone."""
    def is_open_to(line):
        broken = isinstance(line["outcome"], str) and line["opened"] <= gone
        return broken and deployment.balancer.host_of(line) == host
    return [line for line in bad if not is_open_to(line)]


def disk_full(deployment, short):
    """Somebody else's file fills the disk of us."""
    machine = deployment.machines["us-1"]
    load = deployment.send("full", "us", 2 * US_RATE)
    time.sleep(3)
    machine.run("cat /dev/zero >/var/lib/floodgate/ballast 2>/dev/null; true")
    full = time.time()
    until("us refuses", lambda: any(line["outcome"] == 503 for line in load.outcomes(since=full)), seconds=60)
    time.sleep(5 if short else 20)
    machine.run("rm /var/lib/floodgate/ballast")
    freed = time.time()
    until("us accepts again", lambda: any(line["outcome"] == 200 for line in load.outcomes(since=freed)), seconds=120)
    back = time.time() - freed
    time.sleep(3)
    load.stop()
    bad = failures(load.outcomes())
    others = [line for line in bad if line["outcome"] != 503 or not line["retry_after"]]
    require(not others, f"not 503 with Retry-After: {counted(others)}; {others[:3]}")
    deployment.all_delivered()
    return (f"{counted(load.outcomes())}, each 503 with Retry-After; accepts again {back:.0f} s after there is space; "
            "nothing acknowledged lost")
