"""What `make hosts` holds a deployment to. Each scenario gives back its figures as text, or fails."""

import time

from traffic import counted, failures, percentile_ms, slowest_ms
from wait import require, until

MOST_SECONDS_TO_FIRST_DELIVERY = 180


def first_apply(deployment, short):
    """From bare hosts to the first delivered webhook."""
    began = time.time()
    deployment.terraform.init()
    deployment.apply()
    applied = time.time()
    deployment.configure()
    load = deployment.send("first", "eu", rate=5)
    first = until("the first webhook is delivered", deployment.consumer.deliveries, seconds=60)[0]
    load.stop()
    seconds = first[0] - began
    require(seconds < MOST_SECONDS_TO_FIRST_DELIVERY, f"the first delivery took {seconds:.0f} s")
    deployment.eu_is_up()
    return f"first delivery after {seconds:.0f} s, of which terraform apply {applied - began:.0f} s"


ALL = [first_apply]
