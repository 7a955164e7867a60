//! Reads keys, passwords and tokens from their files again while the relay runs: all of them, or none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use floodgate_control::RegionKeys;
use floodgate_event::causes::chain;
use floodgate_event::seal::SealingKey;
use floodgate_event::{Name, Secret};
use floodgate_stream::{Connection, NeedsRestart, Servers, Settings, SettingsError};
use tokio::sync::mpsc;

use crate::api::Token;
use crate::config::{Config, ConfigError};

/// The keys, passwords and tokens that the relay has from files, and can replace while it runs.
pub(crate) struct Credentials {
    /// The relay's configuration file, which names the others.
    pub(crate) path: PathBuf,
    /// The public half of the centre's key, which may not change: all stored secrets are sealed to it.
    pub(crate) centre_key: SealingKey,
    pub(crate) token: Token,
    pub(crate) region_keys: RegionKeys,
    pub(crate) centre: Connection,
    pub(crate) regions: Vec<(Name, Connection)>,
}

/// The contents of the files now.
struct Files {
    centre_key: SealingKey,
    token: Secret,
    region_keys: BTreeMap<Name, SealingKey>,
    centre: Servers,
    regions: BTreeMap<Name, Servers>,
}

impl Credentials {
    /// Reads the files again at each request. If one of them is bad, none is replaced.
    pub(crate) async fn keep_current(self, mut requests: mpsc::Receiver<()>) {
        while requests.recv().await.is_some() {
            if let Err(error) = self.reload().await {
                tracing::error!(
                    error = chain(&error),
                    "nothing reloaded: keys and credentials stay as they were"
                );
            }
        }
    }

    async fn reload(&self) -> Result<(), ReloadError> {
        let path = self.path.clone();
        let files = tokio::task::spawn_blocking(move || Files::read(&path)).await??;
        self.check(&files)?;
        // From here on nothing can fail.
        let token_changed = self.token.replace(&files.token);
        let region_keys_changed = self.region_keys.replace(files.region_keys);
        let mut nats_changed = self.centre.set_identity(&files.centre);
        for (name, link) in &self.regions {
            nats_changed |= files.regions.get(name).is_some_and(|servers| link.set_identity(servers));
        }
        tracing::info!(
            token_changed,
            region_keys_changed,
            nats_changed,
            "reloaded keys and credentials; other settings take a restart"
        );
        Ok(())
    }

    fn check(&self, files: &Files) -> Result<(), ReloadError> {
        if files.centre_key != self.centre_key {
            return Err(ReloadError::CentreKey);
        }
        self.centre.check(&files.centre).map_err(|error| ReloadError::Nats("centre".to_owned(), error))?;
        if files.regions.len() != self.regions.len() {
            return Err(ReloadError::Regions);
        }
        for (name, link) in &self.regions {
            let servers = files.regions.get(name).ok_or(ReloadError::Regions)?;
            link.check(servers).map_err(|error| ReloadError::Nats(name.to_string(), error))?;
        }
        Ok(())
    }
}

impl Files {
    fn read(path: &Path) -> Result<Self, ReloadError> {
        let config = Config::load(path)?;
        let region_keys =
            config.regions.iter().map(|region| Ok((region.name.clone(), region.sealing_key()?)));
        let regions = config
            .regions
            .iter()
            .map(|region| Ok((region.name.clone(), servers(&region.name, &region.nats)?)));
        Ok(Self {
            centre_key: config.opening_key()?.sealing_key().clone(),
            token: config.admin_token()?,
            region_keys: region_keys.collect::<Result<_, ConfigError>>()?,
            centre: servers("centre", &config.nats)?,
            regions: regions.collect::<Result<_, ReloadError>>()?,
        })
    }
}

fn servers(label: &str, settings: &Settings) -> Result<Servers, ReloadError> {
    settings.read(Path::new("")).map_err(|error| ReloadError::Settings(label.to_owned(), error))
}

/// Why nothing was reloaded.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the NATS of {0}")]
    Settings(String, #[source] SettingsError),
    #[error("the NATS of {0}")]
    Nats(String, #[source] NeedsRestart),
    #[error("`opening_key_file` holds another key, and what is stored is sealed to the one before")]
    CentreKey,
    #[error("`regions` cannot change while the relay runs")]
    Regions,
    #[error("the files were not read")]
    Task(#[from] tokio::task::JoinError),
}
