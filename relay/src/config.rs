//! The relay's configuration file (TOML). Unknown keys are refused, bounds are checked when it is read.

mod region;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use floodgate_event::seal::{OpeningKey, SealError};
use floodgate_event::secret::Unfit;
use floodgate_event::{Name, Secret, place};
use floodgate_stream::placement::Centre;
use floodgate_stream::{Settings, SettingsError};
use ipnet::IpNet;
use serde::Deserialize;
use tokio::sync::mpsc;

pub use self::region::Region;

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
    pub nats: Settings,
    /// The centre's streams.
    #[serde(default)]
    pub centre: Centre,
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
    /// Tells the relay to read the files again that its file names:
    /// keys, credentials and the admin token. Not in the file.
    #[serde(skip)]
    pub reload: Option<mpsc::Receiver<()>>,
    /// Where it was read.
    #[serde(skip)]
    pub(crate) path: PathBuf,
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
    /// How long a region keeps what the centre has confirmed; at most 30 days, and at most the dedup window.
    pub kept_seconds: u64,
}

/// Limits on where deliveries may go, and on how many wait.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// Networks that deliveries may reach although they are private, loopback or otherwise special.
    #[serde(default)]
    pub allow_networks: Vec<IpNet>,
    /// The most deliveries that a shard holds for a destination that is disabled or paused.
    /// Beyond that the oldest are discarded.
    #[serde(default = "default_max_held")]
    pub max_held: u64,
}

impl Forward {
    /// The least and the most that `max_held` may be.
    pub const HELD: std::ops::RangeInclusive<u64> = 1..=100_000_000;
}

impl Default for Forward {
    fn default() -> Self {
        Self { allow_networks: Vec::new(), max_held: default_max_held() }
    }
}

const fn default_max_held() -> u64 {
    1_000_000
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
    /// Reads and checks a file. Relative paths in it start from its folder.
    ///
    /// # Errors
    /// Names the file and the key that is wrong, and what is allowed.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::Read(path.into(), error))?;
        let config: Self = toml::from_str(&text).map_err(|error| {
            let line = place::line(&text, error.span());
            ConfigError::Parse(path.into(), line, error.message().to_owned())
        })?;
        config.check().map_err(|(key, allowed)| ConfigError::Bounds(path.into(), key, allowed))?;
        config.check_connections().map_err(|(who, error)| ConfigError::Nats(path.into(), who, error))?;
        let config = config.in_folder(path.parent().unwrap_or(Path::new("")));
        Ok(Self { path: path.to_owned(), ..config })
    }

    fn check_connections(&self) -> Result<(), (String, SettingsError)> {
        self.nats.check().map_err(|error| ("the centre".to_owned(), error))?;
        for region in &self.regions {
            region.nats.check().map_err(|error| (format!("region {}", region.name), error))?;
        }
        Ok(())
    }

    fn in_folder(self, folder: &Path) -> Self {
        let Admin { listen, token_file } = self.admin;
        Self {
            state_dir: folder.join(self.state_dir),
            opening_key_file: folder.join(self.opening_key_file),
            admin: Admin { listen, token_file: folder.join(token_file) },
            nats: self.nats.in_folder(folder),
            regions: self.regions.into_iter().map(|region| region.in_folder(folder)).collect(),
            ..self
        }
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
        // A restored region is read again as far back as it kept:
        // what the ledger has forgotten would be delivered again.
        require(
            self.history.kept_seconds <= u64::from(self.dedup.window_days) * 86_400,
            "history.kept_seconds",
            "at most `dedup.window_days`: a restored region would deliver again what is older",
        )?;
        require((1..=64).contains(&self.regions.len()), "regions", "1 to 64 regions")?;
        let mut names: Vec<_> = self.regions.iter().map(|region| &region.name).collect();
        names.sort();
        names.dedup();
        require(names.len() == self.regions.len(), "regions.name", "a name of its own for each region")?;
        self.regions.iter().try_for_each(Region::check)?;
        require(Forward::HELD.contains(&self.forward.max_held), "forward.max_held", "1 to 100000000")?;
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
    /// If the file cannot be read, holds fewer than 16 characters, or what no header can hold.
    pub fn admin_token(&self) -> Result<Secret, ConfigError> {
        let file = &self.admin.token_file;
        let unfit = |unfit| ConfigError::UnfitSecret(file.clone(), unfit);
        let token = Secret::token_from_line(read_bytes(file)?).map_err(unfit)?;
        if token.expose().len() < 16 {
            return Err(ConfigError::Bounds(file.clone(), "token", "16 characters at least"));
        }
        Ok(token)
    }
}

fn read_secret(path: &Path) -> Result<Secret, ConfigError> {
    Secret::from_line(read_bytes(path)?).map_err(|unfit| ConfigError::UnfitSecret(path.into(), unfit))
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|error| ConfigError::Read(path.into(), error))
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{}: cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// Not TOML of this form: in which line, from 1, and why.
    #[error("{}, line {}: {}", .0.display(), .1, .2)]
    Parse(PathBuf, usize, String),
    /// A value out of bounds.
    #[error("{}: `{}` is out of bounds: expected {}", .0.display(), .1, .2)]
    Bounds(PathBuf, &'static str, &'static str),
    /// A connection to NATS: whose, and what is wrong with it.
    #[error("{}: {}: {}", .0.display(), .1, .2)]
    Nats(PathBuf, String, #[source] SettingsError),
    /// A region that does not go: which one, and what is allowed.
    #[error("region {0}: expected {1}")]
    Region(Name, &'static str),
    /// A file that holds no secret, or one with something in it that cannot be seen.
    #[error("{}: {}", .0.display(), .1)]
    UnfitSecret(PathBuf, #[source] Unfit),
    /// Not a key.
    #[error("{}: {}", .0.display(), .1)]
    Key(PathBuf, #[source] SealError),
}

#[cfg(test)]
mod tests {
    use floodgate_event::Lane;

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
    fn a_cluster_is_read() {
        let text = GOOD.replace("nats://127.0.0.1:4223\" }", "nats://127.0.0.1:4223\", nkey_file = \"relay.nk\" }\nreplicas = 3\nmax_bytes = { bulk = 20000000 }");
        let config = load(&format!("{text}\n[centre]\nreplicas = 1")).unwrap();
        let region = &config.regions[0];
        assert_eq!(region.replicas.map(floodgate_stream::placement::Replicas::count), Some(3));
        assert_eq!(
            [Lane::Critical, Lane::Bulk].map(|lane| region.max_bytes.of(lane)),
            [None, Some(20_000_000)]
        );
        assert_eq!(config.centre.replicas.map(floodgate_stream::placement::Replicas::count), Some(1));
        assert!(region.nats.nkey_file.as_ref().unwrap().is_absolute(), "it starts from the file's folder");
    }

    #[test]
    fn a_sealing_key_may_be_in_a_file() {
        let key = OpeningKey::generate().sealing_key().clone();
        let text = GOOD.replace(
            "sealing_key = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"",
            "sealing_key_file = \"eu.pub\"",
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.toml");
        fs::write(&path, text).unwrap();
        let region = || Config::load(&path).unwrap().regions.remove(0);
        assert!(region().sealing_key().unwrap_err().to_string().contains("eu.pub"));
        fs::write(dir.path().join("eu.pub"), format!("{key}\n")).unwrap();
        assert_eq!(region().sealing_key().unwrap().id(), key.id());
    }

    #[test]
    fn key_and_token_lose_their_line_ends_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (dir.path().join("relay.toml"), dir.path().join("secret"));
        fs::write(
            &path,
            GOOD.replace("/etc/floodgate/centre.key", "secret").replace("/etc/floodgate/token", "secret"),
        )
        .unwrap();
        let config = Config::load(&path).unwrap();
        let key = OpeningKey::generate().to_text();
        let token = "0123456789abcdef";
        fs::write(&file, format!("{}\r\n", key.expose())).unwrap();
        config.opening_key().unwrap();
        fs::write(&file, format!("{token}\r\n")).unwrap();
        assert_eq!(config.admin_token().unwrap().expose(), token);
        for (text, says) in [
            (format!("{token} \n"), "the secret ends with a space (U+0020): take it out"),
            (format!("\u{feff}{token}"), "the secret begins with a byte order mark (U+FEFF): take it out"),
            (format!("{token}\0"), "the secret ends with a NUL (U+0000): take it out"),
            (String::new(), "the secret is empty"),
        ] {
            fs::write(&file, text).unwrap();
            let [of_key, of_token] = [config.opening_key().unwrap_err(), config.admin_token().unwrap_err()]
                .map(|error| error.to_string());
            assert_eq!(of_key, of_token);
            assert!(of_key.ends_with(says) && !of_key.contains(token), "{of_key}");
        }
        fs::write(&file, "a tökën that no header can hold").unwrap();
        assert!(config.admin_token().unwrap_err().to_string().contains("signs of ASCII"));
    }

    #[test]
    fn what_does_not_go_is_refused_by_key() {
        let of_region = |line: &str| load(&format!("{GOOD}\n{line}")).unwrap_err().to_string();
        assert!(of_region("replicas = 2").contains("expected 1 or 3 replicas"));
        assert!(of_region("max_bytes = { bulk = 1000 }").contains("`regions.max_bytes` is out of bounds"));
        assert!(of_region("sealing_key_file = \"x\"").contains("`regions.sealing_key` is out of bounds"));
        let two =
            load(&GOOD.replace("{ url = \"nats://127.0.0.1:4223\" }", "{ url = \"a\", urls = [\"b\"] }"));
        let two = two.unwrap_err().to_string();
        assert!(two.ends_with("region eu: `nats.urls`: there is `url` as well; choose one"), "{two}");
    }

    #[test]
    fn no_region_keeps_what_the_ledger_has_forgotten() {
        let with = |days: u32, seconds: u64| {
            let text = format!("{GOOD}\n[dedup]\nwindow_days = {days}\n[history]\nkept_seconds = {seconds}");
            load(&text).map_err(|error| error.to_string())
        };
        assert!(with(1, 86_400).is_ok() && with(7, 7 * 86_400).is_ok() && with(30, 30 * 86_400).is_ok());
        let refused = with(1, 86_401).unwrap_err();
        assert!(
            refused.contains("`history.kept_seconds`") && refused.contains("`dedup.window_days`"),
            "{refused}"
        );
        let one_line = load(&format!("{GOOD}\n[history]\nkept_seconds = 604801"));
        assert!(one_line.is_err(), "the default window is 7 days");
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
