//! `gateway.toml`: read, checked and turned into what the rooms use, so that nothing past this point meets a
//! bad value or a missing file.

mod file;
mod limits;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use floodgate_event::seal::{OpeningKey, SealError, SealingKey};
use floodgate_event::secret::Unfit;
use floodgate_event::{Name, Secret, place};
use floodgate_stream::{Servers, SettingsError};
use tokio::sync::mpsc;

use self::file::File;
pub use self::limits::Limits;
use crate::tls;

/// A gateway's configuration, complete and checked.
#[derive(Debug)]
pub struct Config {
    /// The region that this gateway serves.
    pub region: Name,
    /// Tells this process apart from the region's other gateways.
    pub gateway: Name,
    /// Where webhooks come in.
    pub listen: SocketAddr,
    /// Where metrics and health are served, without TLS.
    pub metrics_listen: SocketAddr,
    /// The region's NATS.
    pub nats: Servers,
    /// Bounds of connections, requests, queues and publishes.
    pub limits: Limits,
    /// How it stops.
    pub drain: Drain,
    /// Bounds of handlers.
    pub handlers: floodgate_sandbox::Limits,
    /// What compiles handlers in a process of its own: a program and its arguments.
    /// Not in the file; without it they are compiled in this process.
    pub compile_command: Vec<OsString>,
    /// The machine's swap devices. Not in the file.
    pub swaps: floodgate_sandbox::Swaps,
    /// Tells the gateway to read the files again that its file names: certificates and keys. Not in the file.
    pub reload: Option<mpsc::Receiver<()>>,
    /// Where it was read.
    pub(crate) path: PathBuf,
    pub(crate) opening_key: OpeningKey,
    /// None in plaintext mode.
    pub(crate) tls: Option<tls::Offer>,
}

/// How a gateway stops.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// How long it goes on accepting after it says that it is not ready: what balancers need to notice.
    pub grace: Duration,
    /// How long requests that are not here whole, and answers that are not read, may take after that.
    pub incomplete: Duration,
    /// How long requests that are here whole may take after that.
    pub timeout: Duration,
}

impl Config {
    /// The public half of the region's key: what the centre must seal this region's secrets to.
    pub fn sealing_key(&self) -> &SealingKey {
        self.opening_key.sealing_key()
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
        file.limits.check().map_err(|bad| self.invalid(bad.key, bad.reason))?;
        file.handlers.check().map_err(|source| ConfigError::Handlers { path: self.path.into(), source })?;
        Ok(Config {
            gateway: file.gateway.unwrap_or_else(|| random_name(&file.region)),
            listen: file.listen,
            metrics_listen: file.metrics_listen,
            nats: file.nats.read(self.folder).map_err(|source| self.nats(source))?,
            limits: file.limits,
            drain: file.drain.into(),
            handlers: self.handlers(file.handlers),
            compile_command: Vec::new(),
            swaps: floodgate_sandbox::Swaps::default(),
            reload: None,
            path: self.path.to_owned(),
            opening_key: self.opening_key(&file.opening_key_file)?,
            tls: self.tls(file.plaintext, file.tls.as_ref())?,
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

    fn tls(&self, plaintext: bool, files: Option<&file::Tls>) -> Result<Option<tls::Offer>, ConfigError> {
        match (plaintext, files) {
            (true, None) => Ok(None),
            (true, Some(_)) => Err(self.invalid("plaintext", "there is a [tls] table as well; choose one")),
            (false, None) => {
                Err(self.invalid("tls", "certificate_file and key_file are required unless plaintext = true"))
            }
            (false, Some(files)) => {
                let certificate = self.folder.join(&files.certificate_file);
                let key = self.folder.join(&files.key_file);
                let offer = tls::load(&certificate, &key);
                Ok(Some(
                    offer
                        .map_err(|refused| ConfigError::Tls { path: refused.path, source: refused.source })?,
                ))
            }
        }
    }

    fn nats(&self, source: SettingsError) -> ConfigError {
        ConfigError::Nats { path: self.path.into(), source }
    }

    fn invalid(&self, key: &'static str, reason: &'static str) -> ConfigError {
        ConfigError::Invalid { path: self.path.into(), key, reason }
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.into(), source })
}

/// A name for a gateway that was given none. It need not outlive the process:
/// reports of gone gateways expire.
fn random_name(region: &Name) -> Name {
    let region = &region.as_str()[..region.len().min(Name::MAX_LEN - 9)];
    // Only characters of a name, begun by those of one, and within its length.
    #[allow(clippy::expect_used)]
    format!("{region}-{:08x}", rand::random::<u32>()).parse().expect("a region and hex digits make a name")
}

/// Why a configuration was refused. The operator's fault in each case.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, an unknown or missing key, or a value of the wrong type.
    #[error("{path}, line {line}: {message}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// The number of the line that is wrong, from 1.
        line: usize,
        /// What is wrong, without the line's text: a password may stand in it.
        message: String,
    },
    /// A value that does not go, by itself or with another one.
    #[error("{path}: `{key}`: {reason}")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A limit of handlers that does not go.
    #[error("{path}: {source}")]
    Handlers {
        /// Which file.
        path: PathBuf,
        /// Which limit, and what is wrong with it.
        source: floodgate_sandbox::InvalidLimit,
    },
    /// The connection to NATS, or a file that it names.
    #[error("{path}: {source}")]
    Nats {
        /// Which file.
        path: PathBuf,
        /// Which key, and what is wrong with it.
        source: SettingsError,
    },
    /// A file that holds no secret, or one with something in it that cannot be seen.
    #[error("{path}: {source}")]
    UnfitSecret {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it; never the secret.
        source: Unfit,
    },
    /// Not a region's key.
    #[error("{path}: {source}")]
    OpeningKey {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it; never the key.
        source: SealError,
    },
    /// Not a certificate chain and its key.
    #[error("{path}: {source}")]
    Tls {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: tls::TlsError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
region = "eu"
listen = "127.0.0.1:8441"
metrics_listen = "127.0.0.1:9441"
opening_key_file = "key"
plaintext = true
[nats]
url = "nats://127.0.0.1:4222"
"#;

    fn load(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let key = OpeningKey::generate().to_text();
        write("key", key.expose());
        write("crlf", &format!("{}\r\n", key.expose()));
        write("spaced", &format!("{} \n", key.expose()));
        write("marked", &format!("\u{feff}{}\n", key.expose()));
        write("empty", "\n");
        let path = folder.path().join("gateway.toml");
        std::fs::write(&path, text).unwrap();
        let prefix = format!("{}/", folder.path().display());
        Config::load(&path).map_err(|error| error.to_string().replace(&prefix, ""))
    }

    #[test]
    fn the_least_file_is_enough() {
        let config = load(GOOD).unwrap();
        assert!(config.gateway.starts_with("eu-"));
        assert_eq!(config.limits.publish_timeout(), Duration::from_secs(5));
        load(&GOOD.replace("\"key\"", "\"crlf\"")).unwrap();
    }

    #[test]
    fn the_cache_s_folder_starts_from_the_file_s() {
        let config = load(&format!("{GOOD}\n[handlers]\ncache_dir = \"cache\"\n")).unwrap();
        assert!(config.handlers.cache_dir.unwrap().is_absolute());
        assert_eq!(load(GOOD).unwrap().handlers.cache_dir, None);
    }

    /// Each bad file beside the message that it must give.
    #[test]
    fn bad_files_are_refused_by_name() {
        let cases = [
            ("unknown_key", format!("lisen = \"x\"\n{GOOD}")),
            ("password_in_the_file", format!("{GOOD}user = \"gateway\"\npassword = \"s3cret\"\n")),
            ("unknown_key_in_table", format!("{GOOD}\n[limits]\nmax_conections = 1\n")),
            ("missing_key", GOOD.replace("region = \"eu\"\n", "")),
            ("bad_name", GOOD.replace("\"eu\"", "\"EU\"")),
            ("zero_limit", format!("{GOOD}\n[limits]\nblock_events = 0\n")),
            ("limit_over_bound", format!("{GOOD}\n[limits]\nblock_bytes = 100000000\n")),
            ("no_tls", GOOD.replace("plaintext = true\n", "")),
            (
                "both_tls_and_plaintext",
                format!("{GOOD}\n[tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\n"),
            ),
            ("user_without_password", format!("{GOOD}user = \"gateway\"\n")),
            ("two_forms_of_servers", format!("{GOOD}urls = [\"nats://127.0.0.1:4222\"]\n")),
            ("nkey_file_gone", format!("{GOOD}nkey_file = \"gone\"\n")),
            ("not_an_nkey", format!("{GOOD}nkey_file = \"key\"\n")),
            ("not_an_authority", format!("{GOOD}ca_file = \"key\"\n")),
            ("handlers_over_bound", format!("{GOOD}\n[handlers]\nmax_memory_bytes = 65537\n")),
            ("key_file_gone", GOOD.replace("\"key\"", "\"gone\"")),
            ("key_with_a_space", GOOD.replace("\"key\"", "\"spaced\"")),
            ("key_with_a_mark", GOOD.replace("\"key\"", "\"marked\"")),
            ("key_file_empty", GOOD.replace("\"key\"", "\"empty\"")),
            ("password_with_a_space", format!("{GOOD}user = \"gateway\"\npassword_file = \"spaced\"\n")),
            ("nkey_with_a_mark", format!("{GOOD}nkey_file = \"marked\"\n")),
        ];
        let messages: Vec<String> = cases
            .iter()
            .map(|(name, text)| format!("{name}: {}", load(text).unwrap_err().trim_end()))
            .collect();
        insta::assert_snapshot!(messages.join("\n\n"));
    }
}
