"""The end of a deployment."""

from traffic import counted, failures
from wait import require, until

LEFT = ("find /etc/floodgate /opt/floodgate /var/lib/floodgate -mindepth 1 -not -name lost+found; "
        "ls -d /root/.floodgate-staging* /home/*/.floodgate-staging* 2>/dev/null; "
        "ls -d /etc/systemd/system/{,*/}floodgate-{nats,gateway,relay,watch}* 2>/dev/null; "
        "pgrep -a 'floodgate|nats-server' || true")


def destroy_refuses(deployment, short):
    """While a region holds what the centre does not have nothing is destroyed: it and the other one go on serving."""
    load = cut_off(deployment, "refused")
    done = deployment.terraform.destroy(codes=(1,))
    reason = "gave up waiting until the centre follows region eu"
    require(reason in done.stdout, f"refused for another reason: {done.stdout[-1500:]}")
    other = deployment.send("refused-us", "us", 20)
    until("us goes on accepting", lambda: len(other.acknowledged()) > 20, seconds=30)
    other.stop()
    load.stop()
    held = len(load.acknowledged() - deployment.consumer.ids())
    require(not failures(load.outcomes()), f"eu did not go on serving: {counted(load.outcomes())}")
    require(not failures(other.outcomes()), f"us did not go on serving: {counted(other.outcomes())}")
    deployment.link.say("open")
    deployment.all_delivered()
    return f"refused while eu held {held} events; eu and us went on serving: {counted(load.outcomes())}; all delivered afterwards"


def cut_off(deployment, name):
    """A load on eu, which holds what it accepts: the centre is out of reach."""
    deployment.link.say("cut")
    load = deployment.send(name, "eu", 20)
    until("eu holds events", lambda: len(load.acknowledged()) > 20, seconds=30)
    return load


def destroyed(deployment, short):
    """Without anything undelivered `destroy` works, and leaves nothing."""
    deployment.terraform.destroy()
    for name, machine in deployment.machines.items():
        left = machine.run(LEFT).stdout
        require(not left, f"{name}: left behind: {left}")
    return f"nothing left on {len(deployment.machines)} hosts"
