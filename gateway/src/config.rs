//! `gateway.toml`: read, checked and turned into what the rest of the gateway uses, so that nothing after
//! this point meets a bad value or a missing file.

mod error;
mod file;
mod limits;
mod proxies;
#[cfg(test)]
mod reference;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use floodgate_event::seal::{OpeningKey, SealingKey};
use floodgate_event::{Name, Secret, place};
use floodgate_ingress::{AccessLogSettings, AccessOutput};
use floodgate_stream::{Servers, SettingsError};
use tokio::sync::mpsc;

pub use self::error::ConfigError;
use self::file::File;
pub use self::file::PublishedKeys;
pub use self::limits::Limits;
use floodgate_tls as tls;

/// The most certificates beside the default one.
const MAX_CERTIFICATES: usize = 1_000;
/// How often the gateway looks whether files of certificates have changed.
const CERTIFICATE_POLL: Duration = Duration::from_secs(30);

/// A gateway's configuration, complete and checked.
#[derive(Debug)]
pub struct Config {
    /// The region that this gateway serves.
    pub region: Name,
    /// Tells this process apart from the region's other gateways.
    pub gateway: Name,
    /// The address where webhooks come in.
    pub listen: SocketAddr,
    /// Where metrics and health are served, without TLS.
    pub metrics_listen: SocketAddr,
    /// The proxies in front of `listen`.
    pub proxies: floodgate_listen::Proxies,
    /// The servers of the region's NATS, with the credentials to show them.
    pub nats: Servers,
    /// Bounds of connections, requests, queues and publishes.
    pub limits: Limits,
    /// Which requests get a line in the access log.
    pub access_log: AccessLogSettings,
    /// Where those lines go. Not in the file; stdout without it.
    pub access_output: AccessOutput,
    /// How long the gateway takes to stop.
    pub drain: Drain,
    /// What handlers may use. `cache_dir` is an absolute path here if the file's own path is.
    pub handlers: floodgate_sandbox::Limits,
    /// Which addresses keys of providers may be fetched from.
    pub published_keys: PublishedKeys,
    /// What compiles handlers in a process of its own: a program and its arguments.
    /// Not in the file; without it they are compiled in this process.
    pub compile_command: Vec<OsString>,
    /// The machine's swap devices. Not in the file.
    pub swaps: floodgate_sandbox::SwapDevices,
    /// Each message makes the gateway read again the files that its file names: certificates and keys. Not in
    /// the file.
    pub reload: Option<mpsc::Receiver<()>>,
    /// How often the gateway looks whether files of certificates have changed. Not in the file.
    pub certificate_poll: Duration,
    /// Where it was read.
    pub(crate) path: PathBuf,
    pub(crate) opening_key: OpeningKey,
    /// None in plaintext mode.
    pub(crate) tls: Option<tls::ServerIdentity>,
}

/// How long each step of stopping a gateway may take.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// How long it still accepts after it answers that it is not ready: the time that balancers need to
    /// notice.
    pub grace: Duration,
    /// How long requests that have not arrived whole, and answers that nobody reads, may take after that.
    pub incomplete: Duration,
    /// How long requests that have arrived whole may take after that.
    pub timeout: Duration,
}

impl Config {
    /// The public half of the region's key: what the centre must seal this region's secrets to.
    pub fn sealing_key(&self) -> &SealingKey {
        self.opening_key.sealing_key()
    }

    /// Returns why no client of the port shows a certificate, if none does.
    pub(crate) fn no_clients(&self) -> Option<&'static str> {
        match &self.tls {
            None => Some("this gateway serves HTTP without TLS, so it sees none"),
            Some(tls) if !tls.sources.asks_clients => Some(
                "this gateway asks for none: set `request_client_certificates = true` under `[tls]` in \
                 gateway.toml, and restart it",
            ),
            Some(_) => None,
        }
    }

    /// Reads a file and all that it names. Relative paths start from the file's folder.
    ///
    /// # Errors
    /// Names the file and the key that is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path)?;
        let file = toml::from_str(&text).map_err(|error| ConfigError::Syntax {
            path: path.into(),
            line: place::line(&text, error.span()),
            message: error.message().to_owned(),
        })?;
        Checker { path, folder: path.parent().unwrap_or(Path::new(".")) }.check(file)
    }
}

/// Turns a parsed file into a configuration.
struct Checker<'a> {
    path: &'a Path,
    folder: &'a Path,
}

impl Checker<'_> {
    fn check(&self, file: File) -> Result<Config, ConfigError> {
        file.limits.check().map_err(|bad| self.invalid(bad.key, &bad.reason))?;
        file.access_log.check().map_err(|(key, reason)| self.invalid(key, &reason))?;
        file.handlers.check().map_err(|source| ConfigError::Handlers { path: self.path.into(), source })?;
        let opening_key = self.opening_key(&file.opening_key_file)?;
        Ok(Config {
            gateway: file.gateway.unwrap_or_else(|| random_name(&file.region)),
            listen: file.listen,
            metrics_listen: file.metrics_listen,
            proxies: file.proxies.checked().map_err(|(key, reason)| self.invalid(key, &reason))?,
            nats: file.nats.read(self.folder).map_err(|source| self.nats(source))?,
            limits: file.limits,
            access_log: file.access_log,
            access_output: AccessOutput::default(),
            drain: file.drain.into(),
            handlers: self.handlers(file.handlers),
            published_keys: file.published_keys,
            compile_command: Vec::new(),
            swaps: floodgate_sandbox::SwapDevices::default(),
            reload: None,
            path: self.path.to_owned(),
            certificate_poll: CERTIFICATE_POLL,
            tls: self.tls(file.plaintext, file.tls, &opening_key)?,
            opening_key,
            region: file.region,
        })
    }

    fn handlers(&self, handlers: floodgate_sandbox::Limits) -> floodgate_sandbox::Limits {
        let cache_dir = handlers.cache_dir.map(|folder| self.folder.join(folder));
        floodgate_sandbox::Limits { cache_dir, ..handlers }
    }

    fn opening_key(&self, file: &Path) -> Result<OpeningKey, ConfigError> {
        let path = self.folder.join(file);
        let bytes =
            std::fs::read(&path).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
        let text = Secret::from_line(bytes)
            .map_err(|source| ConfigError::UnfitSecret { path: path.clone(), source })?;
        OpeningKey::parse(&text).map_err(|source| ConfigError::OpeningKey { path, source })
    }

    fn tls(
        &self,
        plaintext: bool,
        tables: Option<file::Tls>,
        opening_key: &OpeningKey,
    ) -> Result<Option<tls::ServerIdentity>, ConfigError> {
        match (plaintext, tables) {
            (true, None) => Ok(None),
            (true, Some(_)) => Err(self.invalid("plaintext", "there is a [tls] table as well; choose one")),
            (false, None) => {
                Err(self.invalid("tls", "certificate_file and key_file are required unless plaintext = true"))
            }
            (false, Some(tables)) if tables.certificates.len() > MAX_CERTIFICATES => {
                Err(self.invalid("tls.certificates", "expected at most 1000"))
            }
            (false, Some(tables)) => {
                let named = tables.certificates.iter();
                let sources = tls::Sources {
                    default: self.pair(&tables.certificate_file, &tables.key_file),
                    named: named.map(|named| self.pair(&named.certificate_file, &named.key_file)).collect(),
                    tickets: Arc::new(tls::Tickets::new(
                        opening_key,
                        SystemTime::now,
                        tables.request_client_certificates,
                    )),
                    asks_clients: tables.request_client_certificates,
                };
                let refused =
                    |file: tls::RefusedFile| ConfigError::Tls { path: file.path, source: file.source };
                sources.load().map(Some).map_err(refused)
            }
        }
    }

    fn pair(&self, certificate: &Path, key: &Path) -> tls::Pair {
        tls::Pair { certificate: self.folder.join(certificate), key: self.folder.join(key) }
    }

    fn nats(&self, source: SettingsError) -> ConfigError {
        ConfigError::Nats { path: self.path.into(), source }
    }

    fn invalid(&self, key: &'static str, reason: &str) -> ConfigError {
        ConfigError::Invalid { path: self.path.into(), key, reason: reason.to_owned() }
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.into(), source })
}

/// Makes a name for a gateway whose file has none. A new name at each start does no harm, because the reports
/// of gateways that are gone expire.
fn random_name(region: &Name) -> Name {
    let region = &region.as_str()[..region.len().min(Name::MAX_LEN - 9)];
    // It begins like a name, has only characters of one, and is not too long.
    #[allow(clippy::expect_used)]
    format!("{region}-{:08x}", rand::random::<u32>()).parse().expect("a region and hex digits make a name")
}

#[cfg(test)]
mod tests;
