//! The servers of a connection, and how each side authenticates the other.

use std::fs;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::{Auth, AuthError, ConnectOptions, ServerAddr};
use floodgate_event::Secret;
use nkeys::KeyPair;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::SettingsError;

/// Where to connect and with which identity. All files are read and checked.
#[derive(Debug, Clone)]
pub struct Servers {
    addresses: Vec<ServerAddr>,
    identity: Identity,
    /// The client reads it again for each connection, so that an authority can be replaced while the process
    /// runs.
    ca_file: Option<PathBuf>,
}

/// The identity of the next connection attempt. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct CurrentIdentity(Arc<Mutex<Identity>>);

impl CurrentIdentity {
    pub(crate) fn new(identity: Identity) -> Self {
        Self(Arc::new(Mutex::new(identity)))
    }

    fn get(&self) -> Identity {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns true if the identity changed.
    pub(crate) fn set(&self, identity: &Identity) -> bool {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let differs = *current != *identity;
        current.clone_from(identity);
        differs
    }
}

/// How the client authenticates to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Without credentials, or with those in the URL.
    Anonymous,
    /// A user with a password.
    Password {
        /// The user name that goes with the password.
        user: String,
        /// The password that belongs to the name.
        password: Secret,
    },
    /// An nkey. The server knows only its public half.
    Nkey {
        /// The private half, which begins with `SU`.
        seed: Secret,
    },
}

impl Identity {
    pub(crate) fn password(user: &str, file: &Path) -> Result<Self, SettingsError> {
        Ok(Self::Password { user: user.to_owned(), password: read("nats.password_file", file)? })
    }

    pub(crate) fn nkey(file: &Path) -> Result<Self, SettingsError> {
        let seed = read("nats.nkey_file", file)?;
        let is_user = KeyPair::from_seed(seed.expose()).is_ok_and(|pair| pair.public_key().starts_with('U'));
        if !is_user {
            return Err(unusable("nats.nkey_file", file, "expected the seed of a user's nkey (SU…)"));
        }
        Ok(Self::Nkey { seed })
    }

    /// The credentials for a server that sent `nonce`.
    fn prove(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        let mut auth = Auth::new();
        match self {
            Self::Anonymous => {}
            Self::Password { user, password } => {
                auth.username = Some(user.clone());
                auth.password = Some(password.expose().to_owned());
            }
            Self::Nkey { seed } => {
                let pair = KeyPair::from_seed(seed.expose()).map_err(AuthError::new)?;
                auth.nkey = Some(pair.public_key());
                auth.signature = Some(pair.sign(nonce).map_err(AuthError::new)?);
            }
        }
        Ok(auth)
    }
}

impl Servers {
    pub(crate) fn new(
        addresses: Vec<ServerAddr>,
        identity: Identity,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, SettingsError> {
        if let Some(file) = &ca_file {
            check_authorities(file)?;
        }
        Ok(Self { addresses, identity, ca_file })
    }

    /// The addresses, at least one, with the preferred server first.
    pub fn addresses(&self) -> &[ServerAddr] {
        &self.addresses
    }

    /// How the client authenticates.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The file of the trusted authorities, or None if the system's are trusted.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// The options of a client that authenticates with `current` and trusts the configured authorities.
    pub(crate) fn options(&self, current: CurrentIdentity) -> ConnectOptions {
        let options = match self.identity {
            // Then the credentials in the URL count.
            Identity::Anonymous => ConnectOptions::new(),
            Identity::Password { .. } | Identity::Nkey { .. } => {
                ConnectOptions::with_auth_callback(move |nonce| ready(current.get().prove(&nonce)))
            }
        };
        match &self.ca_file {
            Some(file) => options.add_root_certificates(file.clone()).require_tls(true),
            None => options,
        }
    }

    /// Returns true if a connection to these servers can become one to `other` by a change of identity alone.
    pub(crate) fn differ_in_identity_only(&self, other: &Self) -> bool {
        let has_identity = |servers: &Self| !matches!(servers.identity, Identity::Anonymous);
        self.addresses == other.addresses
            && self.ca_file == other.ca_file
            && has_identity(self) == has_identity(other)
    }
}

fn check_authorities(file: &Path) -> Result<(), SettingsError> {
    let key = "nats.ca_file";
    let pem =
        fs::read(file).map_err(|source| SettingsError::Unreadable { key, path: file.to_owned(), source })?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let mut roots = RootCertStore::empty();
    let all_fit = certificates.is_ok_and(|certificates| {
        !certificates.is_empty() && certificates.into_iter().all(|each| roots.add(each).is_ok())
    });
    if all_fit { Ok(()) } else { Err(unusable(key, file, "expected certificates of authorities, in PEM")) }
}

fn read(key: &'static str, file: &Path) -> Result<Secret, SettingsError> {
    let bytes =
        fs::read(file).map_err(|source| SettingsError::Unreadable { key, path: file.to_owned(), source })?;
    Secret::from_line(bytes).map_err(|source| SettingsError::UnfitSecret {
        key,
        path: file.to_owned(),
        source,
    })
}

fn unusable(key: &'static str, file: &Path, expected: &'static str) -> SettingsError {
    SettingsError::Unusable { key, path: file.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_something_else_are_refused_without_quoting_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "not a key").unwrap();
        let refused = Identity::nkey(&file).unwrap_err().to_string();
        assert!(refused.ends_with("/file: expected the seed of a user's nkey (SU…)"), "{refused}");
        assert!(check_authorities(&file).is_err());
        let server_seed = KeyPair::new_server().seed().unwrap();
        fs::write(&file, &server_seed).unwrap();
        let refused = Identity::nkey(&file).unwrap_err().to_string();
        assert!(!refused.contains(&server_seed), "{refused}");
    }

    #[test]
    fn a_password_is_what_its_file_says_without_the_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let read = |text: &str| {
            fs::write(&file, text).unwrap();
            Identity::password("relay", &file)
        };
        for text in ["p4ss w0rd", "p4ss w0rd\n", "p4ss w0rd\r\n"] {
            let identity = read(text).unwrap();
            assert!(
                matches!(&identity, Identity::Password { password, .. } if password.expose() == "p4ss w0rd")
            );
        }
        for (text, says) in [
            ("p4ss ", "/password: the secret ends with a space (U+0020): take it out"),
            ("p4ss\u{a0}\n", "/password: the secret ends with a no-break space (U+00A0): take it out"),
            ("", "/password: the secret is empty"),
        ] {
            let refused = read(text).unwrap_err().to_string();
            assert!(refused.ends_with(says) && !refused.contains("p4ss"), "{refused}");
        }
    }

    #[test]
    fn a_seed_and_an_authority_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let (seed, authority) = (folder.path().join("seed"), folder.path().join("ca.pem"));
        fs::write(&seed, KeyPair::new_user().seed().unwrap() + "\n").unwrap();
        assert!(matches!(Identity::nkey(&seed), Ok(Identity::Nkey { .. })));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&authority, made.cert.pem()).unwrap();
        check_authorities(&authority).unwrap();
    }
}
