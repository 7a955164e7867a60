//! No verification. A source has to set `unverified`, or to list the networks that may send.

use floodgate_event::scheme::Settings;
use floodgate_event::source::Locator;
use http::HeaderMap;
use ipnet::IpNet;

use crate::keys::Secrets;
use crate::preset::{Preset, Signing};
use crate::verify::Verify;
use crate::{Failure, InvalidSettings, Request, allow};

pub(super) fn preset() -> Preset {
    Preset { uses: &["unverified"], ..Preset::coded("none", "No verification", Signing::Code(prepare)) }
}

struct Unverified {
    /// True if only some networks may send.
    is_limited: bool,
}

fn prepare(settings: &Settings, _secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    let networks = allow::networks(settings)?;
    let is_limited = !networks.is_empty() && networks.iter().all(is_narrow);
    if !is_limited && !settings.unverified {
        let why = "anyone could send to this source: set it to true, or list networks in `allow`, of at \
                   least /8 (IPv4) or /7 (IPv6)";
        return Err(InvalidSettings::Needs { setting: "unverified", why });
    }
    Ok(Box::new(Unverified { is_limited }))
}

/// Returns true if the network is no wider than the widest private one, which is `10.0.0.0/8` or `fc00::/7`.
/// A few wider ones, such as `0.0.0.0/1` and `128.0.0.0/1`, are everyone.
fn is_narrow(network: &IpNet) -> bool {
    network.prefix_len() >= if network.addr().is_ipv4() { 8 } else { 7 }
}

impl Verify for Unverified {
    fn require(&self, _headers: &HeaderMap) -> Result<(), Failure> {
        Ok(())
    }

    /// Returns an empty id, because no secret verified the request. The gateway has called
    /// [`Scheme::admits`](crate::Scheme::admits) before.
    fn verify(&self, _request: &Request<'_>) -> Result<&str, Failure> {
        Ok("")
    }

    /// Whoever is in one of the networks can send anything. If anyone can send, ids are not covered: a forged
    /// event with the id of a later one must not make the later one a duplicate.
    fn covers(&self, _locator: &Locator) -> bool {
        self.is_limited
    }
}
