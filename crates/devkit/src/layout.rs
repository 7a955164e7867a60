//! The layout of a deployment: its parts, their configuration files, and the addresses that they listen on.

mod files;
mod nats_config;
mod part_config;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use floodgate_event::{Name, ShardCount};

use crate::certificates::{self, Tls};
use crate::credentials::{self, Credentials};
use crate::folder::{self, Folder};
use crate::part::{Part, Stage};
use crate::ports::{Endpoint, Ports};
use crate::probe::{Probe, Target};
use crate::ready::{self, Ready};
use crate::regions::Regions;

/// Everything that a deployment needs before it starts.
pub(crate) struct Layout {
    folder: Folder,
    shards: ShardCount,
    ports: Ports,
    credentials: Credentials,
    tls: Option<Tls>,
}

/// The programs that the parts run.
struct Programs {
    floodgate: PathBuf,
    nats_server: PathBuf,
}

impl Layout {
    /// Makes the keys, the certificates and the configuration files.
    pub(crate) fn prepare(
        folder: Folder,
        regions: &Regions,
        shards: ShardCount,
        ports: Ports,
        tls: bool,
    ) -> Result<Self, Error> {
        let credentials = Credentials::load(&folder, regions)?;
        let tls = tls.then(|| certificates::issue(&folder)).transpose()?;
        let layout = Self { folder, shards, ports, credentials, tls };
        files::write(&layout)?;
        Ok(layout)
    }

    /// The certificate that clients of the gateways trust.
    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.tls.as_ref().map(|tls| tls.ca.as_path())
    }

    /// Every process of the deployment.
    pub(crate) fn parts(&self, nats_server: PathBuf) -> Result<Vec<Part>, Error> {
        let floodgate = std::env::current_exe().map_err(Error::Executable)?;
        let programs = Programs { floodgate, nats_server };
        let part = |name: String, stage| self.part(&programs, name, stage);
        let mut parts =
            vec![part("nats-centre".to_owned(), Stage::Nats), part("relay".to_owned(), Stage::Relay)];
        for region in self.regions() {
            let (nats, gateway) = (format!("nats-{region}"), format!("gateway-{region}"));
            parts.extend([part(nats, Stage::Nats), part(gateway, Stage::Gateway)]);
        }
        Ok(parts)
    }

    fn part(&self, programs: &Programs, name: String, stage: Stage) -> Part {
        let (program, subcommand, extension) = match stage {
            Stage::Nats => (&programs.nats_server, None, "conf"),
            Stage::Relay => (&programs.floodgate, Some("relay"), "toml"),
            Stage::Gateway => (&programs.floodgate, Some("gateway"), "toml"),
        };
        let config = self.folder.path(format!("config/{name}.{extension}"));
        let mut arguments: Vec<OsString> = subcommand.into_iter().map(OsString::from).collect();
        arguments.extend(["--config".into(), config.into()]);
        let log = self.folder.path(format!("log/{name}.log"));
        Part { name, stage, floodgate: programs.floodgate.clone(), program: program.clone(), arguments, log }
    }

    /// The questions to the parts of these stages that show whether they are ready.
    pub(crate) fn probes(&self, stages: &[Stage]) -> Vec<Probe> {
        stages.iter().flat_map(|stage| self.stage_probes(*stage)).collect()
    }

    fn stage_probes(&self, stage: Stage) -> Vec<Probe> {
        let nats = |part, endpoint| Probe { part, target: Target::Nats(self.ports.address(endpoint)) };
        let http = |part, url| Probe { part, target: Target::Http(format!("{url}/readyz")) };
        let regions = self.regions();
        match stage {
            Stage::Nats => regions
                .map(|region| nats(format!("nats-{region}"), Endpoint::Nats(region)))
                .chain([nats("nats-centre".to_owned(), Endpoint::CentreNats)])
                .collect(),
            Stage::Relay => vec![http("relay".to_owned(), self.admin_url())],
            Stage::Gateway => {
                regions.map(|region| http(format!("gateway-{region}"), self.gateway_url(region))).collect()
            }
        }
    }

    /// How the deployment is reached.
    pub(crate) fn ready(&self) -> Ready {
        let token = self.credentials.admin_token.secret.expose().to_owned();
        Ready {
            admin: ready::Admin { url: self.admin_url(), token },
            regions: self.regions().map(|region| (region.clone(), self.ready_region(region))).collect(),
            centre: ready::Centre {
                nats: self.nats_url(Endpoint::CentreNats),
                metrics: self.metrics_url(Endpoint::RelayMetrics),
            },
        }
    }

    fn ready_region(&self, region: &Name) -> ready::Region {
        ready::Region {
            url: self.gateway_url(region),
            ca: self.ca_file().map(PathBuf::from),
            nats: self.nats_url(Endpoint::Nats(region)),
            metrics: self.metrics_url(Endpoint::GatewayMetrics(region)),
        }
    }

    fn regions(&self) -> impl Iterator<Item = &Name> {
        self.credentials.regions.keys()
    }

    fn admin_url(&self) -> String {
        format!("http://{}", self.ports.address(Endpoint::Admin))
    }

    fn gateway_url(&self, region: &Name) -> String {
        let address = self.ports.address(Endpoint::Gateway(region));
        match self.tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        }
    }

    fn nats_url(&self, endpoint: Endpoint<'_>) -> String {
        format!("nats://{}", self.ports.address(endpoint))
    }

    fn metrics_url(&self, endpoint: Endpoint<'_>) -> String {
        format!("http://{}/metrics", self.ports.address(endpoint))
    }
}

/// Why a deployment cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The keys, tokens or passwords cannot be made or read.
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    /// The certificates cannot be made.
    #[error(transparent)]
    Certificates(#[from] certificates::Error),
    /// A nats-server's configuration cannot be written as JSON, for instance a
    /// folder's name that is not UTF-8.
    #[error("cannot write the configuration of nats-server")]
    Json(#[from] serde_json::Error),
    /// A part's configuration cannot be written as TOML, for the same reason.
    #[error("cannot write the configuration of a part")]
    Toml(#[from] toml::ser::Error),
    /// The path of this program is unknown.
    #[error("cannot find this program's own file")]
    Executable(#[source] io::Error),
}
