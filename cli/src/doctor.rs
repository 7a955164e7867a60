//! `floodgate doctor` checks a host by its configuration files, and a deployment by the admin API. For each
//! fault it says why the fault matters and what to do. It changes nothing: whatever it tries is refused or
//! has no effect.

mod certificate;
mod clock;
mod deployment;
mod destinations;
mod files;
mod finding;
mod gateway;
mod handshake;
mod lag;
mod monitor;
mod relay;
mod report;
mod rights;
mod server;
mod space;
mod streams;

use std::path::PathBuf;

use floodgate_gateway::config::Config as GatewayConfig;
use floodgate_relay::config::Config as RelayConfig;
use url::Url;

use self::finding::Findings;
use crate::api::{ApiArgs, Client};
use crate::exit::Failure;

/// Which configuration files and which deployment to check.
#[derive(clap::Args)]
pub(crate) struct DoctorArgs {
    /// The gateway's configuration on this host
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
    /// The relay's configuration on this host
    #[arg(long, value_name = "FILE")]
    relay: Option<PathBuf>,
    /// The monitoring page of a nats-server on this host (its `http` port):
    /// the one place that says whether it syncs
    #[arg(long, value_name = "URL")]
    monitor: Option<Url>,
    #[command(flatten)]
    api: ApiArgs,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Checks what the arguments name, and the deployment if an API is known.
///
/// # Errors
/// If something is wrong, or nothing was named.
pub(crate) async fn run(args: DoctorArgs) -> Result<(), Failure> {
    let mut findings = Findings::default();
    findings.ok("version", "floodgate", env!("CARGO_PKG_VERSION"));
    let gateway = args.gateway.as_deref().and_then(|path| gateway::load(path, &mut findings));
    let relay = args.relay.as_deref().and_then(|path| relay::load(path, &mut findings));
    if let Some(url) = &args.monitor {
        monitor::check(url, &mut findings).await;
    } else if args.gateway.is_some() || args.relay.is_some() {
        monitor::not_asked(&mut findings);
    }
    if let Some(config) = &gateway {
        gateway::check(config, &mut findings).await;
    }
    if let Some(config) = &relay {
        relay::check(config, &mut findings).await;
    }
    let nothing_named = args.gateway.is_none() && args.relay.is_none() && args.monitor.is_none();
    let relay = relay.as_ref();
    both(gateway.as_ref(), relay, &mut findings);
    match api(args.api, relay, nothing_named)? {
        Some(api) => deployment::check(&api, &mut findings).await,
        None => {
            findings.unknown("deployment", "admin API", "not asked", "set FLOODGATE_API and FLOODGATE_TOKEN")
        }
    }
    report::print(&findings, args.json)?;
    match findings.count_wrong() {
        0 => Ok(()),
        wrong => Err(Failure::work(format!("{wrong} of {} checks found something wrong", findings.len()))),
    }
}

/// The API that the arguments name, or the one in the relay's configuration. If the arguments name nothing at
/// all, the API of the `floodgate dev` that runs here.
fn api(args: ApiArgs, relay: Option<&RelayConfig>, nothing_named: bool) -> Result<Option<Client>, Failure> {
    if args.is_given() || nothing_named {
        return Ok(Some(args.client()?));
    }
    let Some((relay, token)) = relay.and_then(|relay| Some((relay, relay.admin_token().ok()?))) else {
        return Ok(None);
    };
    let url = Url::parse(&format!("http://{}", relay.admin.listen)).map_err(Failure::work)?;
    Ok(Some(Client::new(url, token)?))
}

/// Checks what needs both configuration files.
fn both(gateway: Option<&GatewayConfig>, relay: Option<&RelayConfig>, findings: &mut Findings) {
    let (Some(gateway), Some(relay)) = (gateway, relay) else { return };
    let Some(region) = relay.regions.iter().find(|region| region.name == gateway.region) else { return };
    if let Ok(key) = region.sealing_key() {
        gateway::compare_keys(&gateway.region, gateway.sealing_key(), &key.id(), findings);
    }
}
