//! Writes the configuration file of every part.

use floodgate_event::Name;
use serde::Serialize;
use serde_json::Value;

use super::nats_config::{GATEWAY, RELAY, Server};
use super::part_config::{
    Admin, Forward, GatewayFile, Handlers, LEASE_SECONDS, LOOPBACK, Lease, Nats, RelayFile, RelayRegion,
    TlsFiles,
};
use super::{Site, SiteError};
use crate::credentials::RegionCredentials;
use crate::directory::Kept;
use crate::ports::Role;

/// Writes all of them; those of the last run are replaced.
pub(crate) fn write(site: &Site) -> Result<(), SiteError> {
    let centre = nats(site, "nats-centre", Role::CentreNats, |server| {
        server.centre(&site.credentials.centre_relay.secret)
    })?;
    site.directory.write("config/nats-centre.conf", &centre)?;
    site.directory.write("config/relay.toml", &toml(&relay(site))?)?;
    for (region, credentials) in &site.credentials.regions {
        let name = format!("nats-{region}");
        let config = nats(site, &name, Role::Nats(region), |server| {
            server.region((&gateway_name(region), &credentials.gateway.secret), &credentials.relay.secret)
        })?;
        site.directory.write(&format!("config/{name}.conf"), &config)?;
        let config = toml(&gateway(site, region, credentials))?;
        site.directory.write(&format!("config/gateway-{region}.toml"), &config)?;
    }
    Ok(())
}

fn toml(config: &impl Serialize) -> Result<Vec<u8>, SiteError> {
    Ok(toml::to_string(config)?.into_bytes())
}

fn nats(
    site: &Site,
    name: &str,
    role: Role<'_>,
    configure: impl FnOnce(&Server<'_>) -> Value,
) -> Result<Vec<u8>, SiteError> {
    let server = Server {
        name,
        listen: site.ports.address(role),
        store: &site.directory.path(format!("data/{name}")),
        operator: &site.credentials.operator.secret,
    };
    Ok(serde_json::to_vec_pretty(&configure(&server))?)
}

/// A region has one gateway here.
fn gateway_name(region: &Name) -> String {
    format!("{region}-1")
}

fn gateway<'a>(site: &'a Site, region: &'a Name, credentials: &'a RegionCredentials) -> GatewayFile<'a> {
    let tls = site.tls.as_ref();
    GatewayFile {
        region,
        gateway: gateway_name(region),
        listen: site.ports.address(Role::Gateway(region)),
        metrics_listen: site.ports.address(Role::GatewayMetrics(region)),
        opening_key_file: &credentials.key.kept.path,
        plaintext: tls.is_none(),
        nats: connection(site, Role::Nats(region), GATEWAY, &credentials.gateway),
        handlers: Handlers { cache_dir: site.directory.path(format!("data/gateway-{region}/handlers")) },
        tls: tls.map(|tls| TlsFiles { certificate_file: &tls.certificate, key_file: &tls.key }),
    }
}

fn relay(site: &Site) -> RelayFile<'_> {
    let credentials = &site.credentials;
    RelayFile {
        relay: "relay-1",
        state_dir: site.directory.path("data/relay"),
        shards: site.shards,
        opening_key_file: &credentials.centre_key.kept.path,
        metrics_listen: site.ports.address(Role::RelayMetrics),
        admin: Admin { listen: site.ports.address(Role::Admin), token_file: &credentials.admin_token.path },
        nats: connection(site, Role::CentreNats, RELAY, &credentials.centre_relay),
        lease: Lease { seconds: LEASE_SECONDS },
        forward: Forward { allow_networks: LOOPBACK },
        regions: credentials.regions.iter().map(|(region, keys)| relay_region(site, region, keys)).collect(),
    }
}

fn relay_region<'a>(site: &Site, region: &'a Name, credentials: &'a RegionCredentials) -> RelayRegion<'a> {
    RelayRegion {
        name: region,
        sealing_key: credentials.key.opening.sealing_key(),
        nats: connection(site, Role::Nats(region), RELAY, &credentials.relay),
    }
}

fn connection<'a>(site: &Site, role: Role<'_>, user: &'static str, password: &'a Kept) -> Nats<'a> {
    Nats { url: site.nats_url(role), user, password_file: &password.path }
}
