//! The keys, tokens and passwords of a deployment. They are made once, and kept in files that only their
//! owner can read.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use floodgate_event::seal::{OpeningKey, SealError};
use floodgate_event::{Name, Secret};

use crate::folder::{self, Folder, SecretFile};
use crate::regions::Regions;

/// How many random bytes a token or password has.
const RANDOM_BYTES: usize = 32;

/// Everything secret in a deployment.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// The bearer token of the admin API.
    pub(crate) admin_token: SecretFile,
    /// The key that opens secrets which are sealed to the centre.
    pub(crate) centre_key: Key,
    /// The password of the relay in the centre's NATS.
    pub(crate) centre_relay: SecretFile,
    /// The secrets of each region.
    pub(crate) regions: BTreeMap<Name, RegionCredentials>,
    /// The password of the developers' NATS user. Nobody needs it: a connection without a password gets this
    /// user.
    pub(crate) operator: SecretFile,
}

/// Everything secret in a region.
#[derive(Debug)]
pub(crate) struct RegionCredentials {
    /// The key that opens secrets which are sealed to the region.
    pub(crate) key: Key,
    /// The password of the region's gateways in its NATS.
    pub(crate) gateway: SecretFile,
    /// The password of the relay in its NATS.
    pub(crate) relay: SecretFile,
}

/// A private key and its file.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) file: SecretFile,
    pub(crate) opening: OpeningKey,
}

impl Credentials {
    /// Reads the secrets that exist, and makes the others.
    pub(crate) fn load(folder: &Folder, regions: &Regions) -> Result<Self, Error> {
        let load = |region: &Name| Ok((region.clone(), RegionCredentials::load(folder, region)?));
        Ok(Self {
            admin_token: folder.keep("secrets/admin.token", random)?,
            centre_key: key(folder, "secrets/centre.key")?,
            centre_relay: folder.keep("secrets/centre-relay.password", random)?,
            regions: regions.iter().map(load).collect::<Result<_, Error>>()?,
            operator: folder.keep("secrets/operator.password", random)?,
        })
    }
}

impl RegionCredentials {
    fn load(folder: &Folder, region: &Name) -> Result<Self, Error> {
        Ok(Self {
            key: key(folder, &format!("secrets/region-{region}.key"))?,
            gateway: folder.keep(&format!("secrets/region-{region}-gateway.password"), random)?,
            relay: folder.keep(&format!("secrets/region-{region}-relay.password"), random)?,
        })
    }
}

fn key(folder: &Folder, file: &str) -> Result<Key, Error> {
    let file = folder.keep(file, || OpeningKey::generate().to_text())?;
    let opening =
        OpeningKey::parse(&file.secret).map_err(|source| Error::Key { path: file.path.clone(), source })?;
    Ok(Key { file, opening })
}

fn random() -> Secret {
    Secret::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; RANDOM_BYTES]>()))
}

/// Why the secrets cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A key file was altered.
    #[error("{}", path.display())]
    Key {
        path: std::path::PathBuf,
        /// What is wrong with its content.
        source: SealError,
    },
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] folder::Error),
}
