//! The relay's configuration file (TOML). Unknown keys are refused, bounds are checked when it is read.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use floodgate_event::seal::{OpeningKey, SealError, SealingKey};
use floodgate_event::{Name, Secret};
use ipnet::IpNet;
use serde::Deserialize;

/// The relay's settings, as the file gives them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Names this process in leases and logs.
    pub relay: Name,
    /// Where the ledger and the delivery index live. Both can be rebuilt from the centre's streams.
    pub state_dir: PathBuf,
    /// Shards of the deployment; fixed once events were accepted.
    #[serde(default = "one_shard")]
    pub shards: u32,
    /// The centre's private key, readable by its owner alone.
    pub opening_key_file: PathBuf,
    /// Where Prometheus finds `/metrics`.
    pub metrics_listen: SocketAddr,
    /// The admin API.
    pub admin: Admin,
    /// The centre's NATS.
    pub nats: Nats,
    /// The regions to copy from.
    pub regions: Vec<Region>,
    /// How long a silent writer keeps the lease.
    #[serde(default)]
    pub lease: LeaseConfig,
    /// The dedup window.
    #[serde(default)]
    pub dedup: Dedup,
    /// The copies that stay in the regions.
    #[serde(default)]
    pub history: History,
    /// Limits on where deliveries may go.
    #[serde(default)]
    pub forward: Forward,
    /// How uploads are checked.
    #[serde(default)]
    pub handlers: Handlers,
}

/// The admin API's listener.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Holds the bearer token.
    pub token_file: PathBuf,
}

/// How to reach a NATS server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    /// One or more `nats://` or `tls://` URLs, joined by commas.
    pub url: String,
    /// User name, with `password_file`.
    pub user: Option<String>,
    /// Holds the password.
    pub password_file: Option<PathBuf>,
}

/// A region to copy from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Its name.
    pub name: Name,
    /// The public half of its key: its sources' secrets are sealed to it.
    pub sealing_key: SealingKey,
    /// Its NATS.
    pub nats: Nats,
}

/// The writer's lease.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseConfig {
    /// 2 to 300.
    pub seconds: u64,
}

/// The dedup window.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dedup {
    /// 1 to 90: for how long a second copy is recognised.
    pub window_days: u32,
}

/// The copies that stay in the regions.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// How long a region keeps what the centre has confirmed; at most 30 days.
    pub kept_seconds: u64,
}

/// Limits on where deliveries may go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// Networks that deliveries may reach although they are private, loopback or otherwise special.
    #[serde(default)]
    pub allow_networks: Vec<IpNet>,
}

/// How uploads are checked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handlers {
    /// Program and arguments that read a component on standard input and judge it; this program's own
    /// `handler check` if left out.
    pub check_command: Option<Vec<String>>,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self { seconds: 10 }
    }
}

impl Default for Dedup {
    fn default() -> Self {
        Self { window_days: 7 }
    }
}

impl Default for History {
    fn default() -> Self {
        Self { kept_seconds: 86_400 }
    }
}

fn one_shard() -> u32 {
    1
}

impl LeaseConfig {
    /// The lease's length.
    pub fn length(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Names the file and the key that is wrong, and what is allowed.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::Read(path.into(), error))?;
        let config: Self =
            toml::from_str(&text).map_err(|error| ConfigError::Parse(path.into(), Box::new(error)))?;
        config.check().map_err(|(key, allowed)| ConfigError::Bounds(path.into(), key, allowed))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let require = |holds: bool, key, allowed| if holds { Ok(()) } else { Err((key, allowed)) };
        require((1..=64).contains(&self.shards), "shards", "1 to 64")?;
        require((2..=300).contains(&self.lease.seconds), "lease.seconds", "2 to 300")?;
        require((1..=90).contains(&self.dedup.window_days), "dedup.window_days", "1 to 90")?;
        require(
            self.history.kept_seconds <= 30 * 86_400,
            "history.kept_seconds",
            "at most 2592000 (30 days)",
        )?;
        require((1..=64).contains(&self.regions.len()), "regions", "1 to 64 regions")?;
        let mut names: Vec<_> = self.regions.iter().map(|region| &region.name).collect();
        names.sort();
        names.dedup();
        require(names.len() == self.regions.len(), "regions.name", "a name of its own for each region")?;
        let command = self.handlers.check_command.as_ref();
        require(
            command.is_none_or(|command| !command.is_empty()),
            "handlers.check_command",
            "a program at least",
        )
    }

    /// Reads the centre's private key.
    ///
    /// # Errors
    /// If the file cannot be read or holds no key.
    pub fn opening_key(&self) -> Result<OpeningKey, ConfigError> {
        let text = read_secret(&self.opening_key_file)?;
        OpeningKey::parse(&text).map_err(|error| ConfigError::Key(self.opening_key_file.clone(), error))
    }

    /// Reads the admin API's bearer token.
    ///
    /// # Errors
    /// If the file cannot be read or holds fewer than 16 characters.
    pub fn admin_token(&self) -> Result<Secret, ConfigError> {
        let token = read_secret(&self.admin.token_file)?;
        if token.expose().len() < 16 {
            return Err(ConfigError::Bounds(
                self.admin.token_file.clone(),
                "token",
                "16 characters at least",
            ));
        }
        Ok(token)
    }
}

impl Nats {
    /// Reads the password, if one is configured.
    ///
    /// # Errors
    /// If its file cannot be read.
    pub fn password(&self) -> Result<Option<Secret>, ConfigError> {
        self.password_file.as_deref().map(read_secret).transpose()
    }
}

fn read_secret(path: &Path) -> Result<Secret, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Read(path.into(), error))?;
    Ok(Secret::new(text.trim()))
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{}: cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// Not TOML of this form.
    #[error("{}: {}", .0.display(), .1)]
    Parse(PathBuf, #[source] Box<toml::de::Error>),
    /// A value out of bounds.
    #[error("{}: `{}` is out of bounds: expected {}", .0.display(), .1, .2)]
    Bounds(PathBuf, &'static str, &'static str),
    /// Not a key.
    #[error("{}: {}", .0.display(), .1)]
    Key(PathBuf, #[source] SealError),
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        relay = "relay-1"
        state_dir = "/var/lib/floodgate"
        opening_key_file = "/etc/floodgate/centre.key"
        metrics_listen = "127.0.0.1:9400"
        admin = { listen = "127.0.0.1:8400", token_file = "/etc/floodgate/token" }
        nats = { url = "nats://127.0.0.1:4222" }
        [[regions]]
        name = "eu"
        sealing_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        nats = { url = "nats://127.0.0.1:4223" }
    "#;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.toml");
        fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn a_good_file_is_read() {
        assert_eq!(load(GOOD).unwrap().lease.seconds, 10);
    }

    #[test]
    fn errors_name_the_file_and_the_key() {
        let unknown = load(&format!("{GOOD}\nretries = 3")).unwrap_err().to_string();
        assert!(unknown.contains("relay.toml") && unknown.contains("retries"), "{unknown}");
        let bounds = load(&format!("{GOOD}\n[lease]\nseconds = 1")).unwrap_err().to_string();
        assert!(bounds.ends_with("`lease.seconds` is out of bounds: expected 2 to 300"), "{bounds}");
        let twice = GOOD.to_owned()
            + GOOD
                .split_once("[[regions]]")
                .map(|(_, rest)| "[[regions]]".to_owned() + rest)
                .unwrap()
                .as_str();
        assert!(load(&twice).unwrap_err().to_string().contains("regions.name"));
    }
}
