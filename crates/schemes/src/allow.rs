//! The networks that may send to a source.

use std::net::IpAddr;

use floodgate_event::scheme::Settings;
use ipnet::IpNet;

use crate::InvalidSettings;

/// Parses the networks of the setting `allow`.
///
/// # Errors
/// Names the first text that is not a network.
pub(crate) fn networks(settings: &Settings) -> Result<Vec<IpNet>, InvalidSettings> {
    let parse = |text: &String| {
        text.parse().map_err(|_| InvalidSettings::Setting {
            setting: "allow",
            why: format!("`{text}` is not a network such as `203.0.113.0/24` or `2001:db8::/32`"),
        })
    };
    settings.allow.iter().map(parse).collect()
}

/// Returns true if one of the networks contains the address, or if there are no networks. A listener for both
/// families sees IPv4 addresses mapped into IPv6, so those are converted back first.
pub(crate) fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.is_empty() || networks.iter().any(|network| network.contains(&address))
}
