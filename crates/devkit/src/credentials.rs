//! The keys, tokens and passwords of a deployment: made once, kept in files that only their owner can read.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use floodgate_event::seal::{OpeningKey, SealError};
use floodgate_event::{Name, Secret};

use crate::folder::{Folder, FolderError, SecretFile};
use crate::regions::Regions;

/// Random bytes in a token or password.
const RANDOM_BYTES: usize = 32;

/// Everything secret in a deployment.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// The bearer token of the admin API.
    pub(crate) admin_token: SecretFile,
    /// What opens secrets that are sealed to the centre.
    pub(crate) centre_key: Key,
    /// The password of the relay in the centre's NATS.
    pub(crate) centre_relay: SecretFile,
    /// What each region needs.
    pub(crate) regions: BTreeMap<Name, RegionCredentials>,
    /// The password of the developers' NATS user; nobody needs to know it, since who connects without
    /// one is let in as that user.
    pub(crate) operator: SecretFile,
}

/// Everything secret in a region.
#[derive(Debug)]
pub(crate) struct RegionCredentials {
    /// What opens secrets that are sealed to the region.
    pub(crate) key: Key,
    /// The password of the region's gateways in its NATS.
    pub(crate) gateway: SecretFile,
    /// The password of the relay in its NATS.
    pub(crate) relay: SecretFile,
}

/// A private key, and its file.
#[derive(Debug)]
pub(crate) struct Key {
    /// The file.
    pub(crate) file: SecretFile,
    /// The key.
    pub(crate) opening: OpeningKey,
}

impl Credentials {
    /// Reads what is there and makes what is missing.
    pub(crate) fn load(folder: &Folder, regions: &Regions) -> Result<Self, CredentialError> {
        let load = |region: &Name| Ok((region.clone(), RegionCredentials::load(folder, region)?));
        Ok(Self {
            admin_token: folder.keep("secrets/admin.token", random)?,
            centre_key: key(folder, "secrets/centre.key")?,
            centre_relay: folder.keep("secrets/centre-relay.password", random)?,
            regions: regions.iter().map(load).collect::<Result<_, CredentialError>>()?,
            operator: folder.keep("secrets/operator.password", random)?,
        })
    }
}

impl RegionCredentials {
    fn load(folder: &Folder, region: &Name) -> Result<Self, CredentialError> {
        Ok(Self {
            key: key(folder, &format!("secrets/region-{region}.key"))?,
            gateway: folder.keep(&format!("secrets/region-{region}-gateway.password"), random)?,
            relay: folder.keep(&format!("secrets/region-{region}-relay.password"), random)?,
        })
    }
}

fn key(folder: &Folder, file: &str) -> Result<Key, CredentialError> {
    let file = folder.keep(file, || OpeningKey::generate().to_text())?;
    let opening = OpeningKey::parse(&file.secret)
        .map_err(|source| CredentialError::Key { path: file.path.clone(), source })?;
    Ok(Key { file, opening })
}

fn random() -> Secret {
    Secret::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; RANDOM_BYTES]>()))
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    /// A key file was altered.
    #[error("{}", path.display())]
    Key {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        source: SealError,
    },
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
}
