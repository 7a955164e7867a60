//! Writes the configuration file of every part.

use floodgate_event::Name;
use serde::Serialize;
use serde_json::Value;

use super::nats_config::{GATEWAY, RELAY, Server};
use super::part_config::{
    Admin, Forward, GatewayFile, Handlers, LEASE_SECONDS, LOOPBACK, Lease, Nats, RelayFile, RelayRegion,
    TlsFiles,
};
use super::{Error, Layout};
use crate::credentials::RegionCredentials;
use crate::folder::SecretFile;
use crate::ports::Endpoint;

/// Writes all of them, over those of the last run.
pub(crate) fn write(layout: &Layout) -> Result<(), Error> {
    let centre = nats(layout, "nats-centre", Endpoint::CentreNats, |server| {
        server.centre(&layout.credentials.centre_relay.secret)
    })?;
    layout.folder.write("config/nats-centre.conf", &centre)?;
    layout.folder.write("config/relay.toml", &toml(&relay(layout))?)?;
    for (region, credentials) in &layout.credentials.regions {
        let name = format!("nats-{region}");
        let config = nats(layout, &name, Endpoint::Nats(region), |server| {
            server.region((&gateway_name(region), &credentials.gateway.secret), &credentials.relay.secret)
        })?;
        layout.folder.write(&format!("config/{name}.conf"), &config)?;
        let config = toml(&gateway(layout, region, credentials))?;
        layout.folder.write(&format!("config/gateway-{region}.toml"), &config)?;
    }
    Ok(())
}

fn toml(config: &impl Serialize) -> Result<Vec<u8>, Error> {
    Ok(toml::to_string(config)?.into_bytes())
}

fn nats(
    layout: &Layout,
    name: &str,
    endpoint: Endpoint<'_>,
    configure: impl FnOnce(&Server<'_>) -> Value,
) -> Result<Vec<u8>, Error> {
    let server = Server {
        name,
        listen: layout.ports.address(endpoint),
        store: &layout.folder.path(format!("data/{name}")),
        operator: &layout.credentials.operator.secret,
    };
    Ok(serde_json::to_vec_pretty(&configure(&server))?)
}

/// A region has one gateway here.
fn gateway_name(region: &Name) -> String {
    format!("{region}-1")
}

fn gateway<'a>(layout: &'a Layout, region: &'a Name, credentials: &'a RegionCredentials) -> GatewayFile<'a> {
    let tls = layout.tls.as_ref();
    GatewayFile {
        region,
        gateway: gateway_name(region),
        listen: layout.ports.address(Endpoint::Gateway(region)),
        metrics_listen: layout.ports.address(Endpoint::GatewayMetrics(region)),
        opening_key_file: &credentials.key.file.path,
        plaintext: tls.is_none(),
        nats: connection(layout, Endpoint::Nats(region), GATEWAY, &credentials.gateway),
        handlers: Handlers { cache_dir: layout.folder.path(format!("data/gateway-{region}/handlers")) },
        tls: tls.map(|tls| TlsFiles { certificate_file: &tls.certificate, key_file: &tls.key }),
    }
}

fn relay(layout: &Layout) -> RelayFile<'_> {
    let credentials = &layout.credentials;
    RelayFile {
        relay: "relay-1",
        state_dir: layout.folder.path("data/relay"),
        shards: layout.shards,
        opening_key_file: &credentials.centre_key.file.path,
        metrics_listen: layout.ports.address(Endpoint::RelayMetrics),
        admin: Admin {
            listen: layout.ports.address(Endpoint::Admin),
            token_file: &credentials.admin_token.path,
        },
        nats: connection(layout, Endpoint::CentreNats, RELAY, &credentials.centre_relay),
        lease: Lease { seconds: LEASE_SECONDS },
        forward: Forward { allow_networks: LOOPBACK },
        regions: credentials
            .regions
            .iter()
            .map(|(region, keys)| relay_region(layout, region, keys))
            .collect(),
    }
}

fn relay_region<'a>(
    layout: &Layout,
    region: &'a Name,
    credentials: &'a RegionCredentials,
) -> RelayRegion<'a> {
    RelayRegion {
        name: region,
        sealing_key: credentials.key.opening.sealing_key(),
        nats: connection(layout, Endpoint::Nats(region), RELAY, &credentials.relay),
    }
}

fn connection<'a>(
    layout: &Layout,
    endpoint: Endpoint<'_>,
    user: &'static str,
    password: &'a SecretFile,
) -> Nats<'a> {
    Nats { url: layout.nats_url(endpoint), user, password_file: &password.path }
}
