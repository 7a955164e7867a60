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
    """The line between eu and the centre is cut under load; a tenth of what us gets eu has had too."""
    cut_seconds = 20 if short else 120
    eu = deployment.send("cut-eu", "eu", EU_RATE)
    us = deployment.send("cut-us", "us", US_RATE, repeats_of="cut-eu")
    time.sleep(5)
    deployment.link.say("cut")
    time.sleep(cut_seconds)
    deployment.link.say("open")
    healed = time.time()
    level = until("eu is level again", lambda: caught_up(deployment, eu), seconds=180, every=0.25)
    eu.stop(), us.stop()
    acknowledged = deployment.all_delivered()
    during = eu.outcomes() + us.outcomes()
    require(not failures(during), f"requests failed: {counted(during)}; {failures(during)[:3]}")
    backlog, rate = caught_up_at(deployment, eu, healed, level)
    require(rate >= LEAST_CATCH_UP * EU_RATE, f"caught up at {rate:.0f} events/s, arrivals {EU_RATE}/s")
    books = settled_books(deployment)
    repeated = len(eu.acknowledged() & us.acknowledged())
    require(repeated and books["events"]["duplicate"] >= repeated, "copies through two regions were not recognised")
    return (f"cut {cut_seconds} s: {counted(during)}, slowest {slowest_ms(during)} ms; {backlog} events caught up in "
            f"{level - healed:.1f} s from the cut's end, {rate:.0f}/s against {EU_RATE}/s arriving; "
            f"{repeated} events through both regions stored once; {len(acknowledged)} acknowledged, all delivered, books balance")


def caught_up(deployment, eu):
    """The time at which nearly all that eu acknowledged was delivered."""
    if len(eu.acknowledged() - deployment.consumer.ids()) < LEVEL_EVENTS:
        return time.time()
    return None


def caught_up_at(deployment, eu, healed, level):
    """Events of eu delivered between the cut's end and when it was level, connecting again included; how many a second."""
    mine = eu.acknowledged()
    count = len({identity for at, identity, _ in deployment.consumer.deliveries() if healed <= at <= level and identity in mine})
    return count, count / (level - healed)


def settled_books(deployment):
    """The books, once nothing is under way any more."""
    def settled():
        books = deployment.books()
        done = books["balanced"] and not books["events"]["in_transit"] and not books["deliveries"]["pending"]
        return books if done else None
    return until("the books balance with nothing open", settled, seconds=60, every=0.5)


def link_slow(deployment, short):
    """100 ms each way: eu goes on, and the centre keeps up."""
    seconds = 10 if short else 40
    deployment.link.say("delay 0.1")
    load = deployment.send("slow", "eu", EU_RATE)
    time.sleep(seconds)
    behind = len(load.acknowledged() - deployment.consumer.ids())
    load.stop()
    deployment.all_delivered()
    deployment.link.say("open")
    require(not failures(load.outcomes()), f"requests failed: {counted(load.outcomes())}")
    require(behind < 10 * EU_RATE, f"{behind} events behind on a slow line")
    return f"100 ms each way for {seconds} s: {counted(load.outcomes())}; at its end {behind} events under way to the consumer"


def host_killed(deployment, short):
    """Each host of eu in turn loses its processes and its link."""
    return "; ".join(one_killed(deployment, name, short) for name in list(REGIONS["eu"])[-1 if short else 0:])


def one_killed(deployment, name, short):
    deployment.eu_is_up()
    load = deployment.send(f"kill-{name}", "eu", EU_RATE)
    time.sleep(4)
    killed = time.time()
    deployment.machines[name].kill()
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
    elsewhere = [line for line in bad if line["opened"] > killed]
    require(not elsewhere, f"{name} killed: requests failed on connections opened afterwards: {elsewhere[:3]}")
    require(all(isinstance(line["outcome"], str) for line in bad), f"{name} killed: {counted(bad)}; {bad[:2]}")
    during = [line for line in outcomes if line["ended"] >= killed]
    return (f"{name}: {counted(outcomes)}, failed only on open connections, slowest answer {slowest_ms(during)} ms, "
            f"nothing acknowledged lost, back in the group {back:.0f} s after its boot")


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
