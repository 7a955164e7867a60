//! A deployment on this machine: which parts it has, what they are given, where they are reached.

mod files;
mod nats_config;
mod part_config;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use floodgate_event::Name;

use crate::certificates::{self, CertificateError, Tls};
use crate::credentials::{CredentialError, Credentials};
use crate::directory::{Directory, DirectoryError};
use crate::part::{Part, Stage};
use crate::ports::{Ports, Role};
use crate::probe::{Probe, Question};
use crate::ready::{self, Ready};
use crate::regions::Regions;

/// A deployment that has all it needs and does not run yet.
pub(crate) struct Site {
    directory: Directory,
    shards: u32,
    ports: Ports,
    credentials: Credentials,
    tls: Option<Tls>,
}

/// The programs that the parts run.
struct Programs {
    floodgate: PathBuf,
    nats_server: PathBuf,
}

impl Site {
    /// Makes the keys, the certificates and the configuration files.
    pub(crate) fn prepare(
        directory: Directory,
        regions: &Regions,
        shards: u32,
        ports: Ports,
        tls: bool,
    ) -> Result<Self, SiteError> {
        let credentials = Credentials::load(&directory, regions)?;
        let tls = tls.then(|| certificates::issue(&directory)).transpose()?;
        let site = Self { directory, shards, ports, credentials, tls };
        files::write(&site)?;
        Ok(site)
    }

    /// The certificate that clients of the gateways trust.
    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.tls.as_ref().map(|tls| tls.ca.as_path())
    }

    /// Every process of the deployment.
    pub(crate) fn parts(&self, nats_server: PathBuf) -> Result<Vec<Part>, SiteError> {
        let floodgate = std::env::current_exe().map_err(SiteError::Executable)?;
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
        let config = self.directory.path(format!("config/{name}.{extension}"));
        let mut arguments: Vec<OsString> = subcommand.into_iter().map(OsString::from).collect();
        arguments.extend(["--config".into(), config.into()]);
        let log = self.directory.path(format!("log/{name}.log"));
        Part { name, stage, floodgate: programs.floodgate.clone(), program: program.clone(), arguments, log }
    }

    /// What to ask the parts of these stages, to know that they are ready.
    pub(crate) fn probes(&self, stages: &[Stage]) -> Vec<Probe> {
        stages.iter().flat_map(|stage| self.stage_probes(*stage)).collect()
    }

    fn stage_probes(&self, stage: Stage) -> Vec<Probe> {
        let nats = |part, role| Probe { part, question: Question::Nats(self.ports.address(role)) };
        let http = |part, url| Probe { part, question: Question::Http(format!("{url}/readyz")) };
        let regions = self.regions();
        match stage {
            Stage::Nats => regions
                .map(|region| nats(format!("nats-{region}"), Role::Nats(region)))
                .chain([nats("nats-centre".to_owned(), Role::CentreNats)])
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
                nats: self.nats_url(Role::CentreNats),
                metrics: self.metrics_url(Role::RelayMetrics),
            },
        }
    }

    fn ready_region(&self, region: &Name) -> ready::Region {
        ready::Region {
            url: self.gateway_url(region),
            ca: self.ca_file().map(PathBuf::from),
            nats: self.nats_url(Role::Nats(region)),
            metrics: self.metrics_url(Role::GatewayMetrics(region)),
        }
    }

    fn regions(&self) -> impl Iterator<Item = &Name> {
        self.credentials.regions.keys()
    }

    fn admin_url(&self) -> String {
        format!("http://{}", self.ports.address(Role::Admin))
    }

    fn gateway_url(&self, region: &Name) -> String {
        let address = self.ports.address(Role::Gateway(region));
        match self.tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        }
    }

    fn nats_url(&self, role: Role<'_>) -> String {
        format!("nats://{}", self.ports.address(role))
    }

    fn metrics_url(&self, role: Role<'_>) -> String {
        format!("http://{}/metrics", self.ports.address(role))
    }
}

/// Why a deployment cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SiteError {
    /// The folder cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Keys, tokens or passwords.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// Certificates.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// A nats-server's configuration cannot be written as JSON, for instance a
    /// folder's name that is not UTF-8.
    #[error("cannot write the configuration of nats-server")]
    Json(#[from] serde_json::Error),
    /// A part's configuration cannot be written as TOML, for the same reason.
    #[error("cannot write the configuration of a part")]
    Toml(#[from] toml::ser::Error),
    /// Where this program is cannot be found out.
    #[error("cannot find this program's own file")]
    Executable(#[source] io::Error),
}
