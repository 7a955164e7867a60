"""What `make hosts` holds a deployment to. Each scenario takes the deployment and whether this is the short form, and
gives back its figures as text, or fails. They run in this order, on one deployment and then on another."""

from .birth import doctor, first_apply, second_apply, secrets_stay_secret
from .change import configuration_changed, keys_rotated, region_added, region_removed, replaced_host, rolling_upgrade
from .cluster import centre_restored, centre_rolled, clustered, forced, region_restored, relay_killed
from .end import destroy_refuses, destroyed
from .failure import disk_full, host_killed, link_cut, link_slow
from .users import earlier_layout, least_privilege

# Another deployment, made and destroyed after the first.
CLUSTER = [clustered, relay_killed, centre_rolled, centre_restored, region_restored, forced]
ALL = [first_apply, second_apply, secrets_stay_secret, least_privilege, doctor, link_cut, link_slow, host_killed, rolling_upgrade,
       configuration_changed, keys_rotated, replaced_host, disk_full, earlier_layout, region_added, region_removed, destroy_refuses,
       destroyed, *CLUSTER]
# Left out of the short form.
LONG = {link_slow, configuration_changed, keys_rotated, replaced_host, *CLUSTER}
