//! The form of a `nats` table in a configuration file.

use std::path::{Path, PathBuf};

use async_nats::ServerAddr;
use floodgate_event::secret::Unfit;
use serde::Deserialize;

use crate::servers::{Identity, Servers};

/// The most servers that a connection may name.
const MAX_SERVERS: usize = 16;

/// `nats = { … }` as it stands in a file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// One server, or several joined by commas; or `urls`.
    pub url: Option<String>,
    /// The servers of a cluster, `nats://host:port` or `tls://host:port`, the one to prefer first.
    pub urls: Option<Vec<String>>,
    /// A user name, with `password_file`.
    pub user: Option<String>,
    /// Holds that user's password.
    pub password_file: Option<PathBuf>,
    /// Holds the seed of a user's nkey; instead of `user`.
    pub nkey_file: Option<PathBuf>,
    /// The authorities, in PEM, one of which must have signed the servers' certificates; no others are
    /// trusted then, and no connection is without TLS.
    pub ca_file: Option<PathBuf>,
}

impl Settings {
    /// Checks what can be known without reading other files.
    ///
    /// # Errors
    /// Names the key, and what is allowed.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.addresses()?;
        match (&self.user, &self.password_file, &self.nkey_file) {
            (Some(_), Some(_), Some(_)) => {
                Err(invalid("nats.nkey_file", "there are user and password_file as well; choose one"))
            }
            (None, None, _) | (Some(_), Some(_), None) => Ok(()),
            _ => Err(invalid("nats", "user and password_file go together")),
        }
    }

    /// Reads the files that it names. Relative paths start from `folder`.
    ///
    /// # Errors
    /// Names the key, and the file or what is allowed; never a secret.
    pub fn read(&self, folder: &Path) -> Result<Servers, SettingsError> {
        self.check()?;
        let path = |file: &PathBuf| folder.join(file);
        let identity = match (&self.user, &self.password_file, &self.nkey_file) {
            (Some(user), Some(password), _) => Identity::password(user, &path(password))?,
            (_, _, Some(seed)) => Identity::nkey(&path(seed))?,
            _ => Identity::Nobody,
        };
        Servers::new(self.addresses()?, identity, self.ca_file.as_ref().map(path))
    }

    /// The same with paths that start from `folder`.
    pub fn in_folder(mut self, folder: &Path) -> Self {
        for file in [&mut self.password_file, &mut self.nkey_file, &mut self.ca_file] {
            *file = file.take().map(|file| folder.join(file));
        }
        self
    }

    fn addresses(&self) -> Result<Vec<ServerAddr>, SettingsError> {
        let (key, urls): (_, Vec<&str>) = match (&self.url, &self.urls) {
            (Some(url), None) => ("nats.url", url.split(',').map(str::trim).collect()),
            (None, Some(urls)) => ("nats.urls", urls.iter().map(String::as_str).collect()),
            (Some(_), Some(_)) => return Err(invalid("nats.urls", "there is `url` as well; choose one")),
            (None, None) => return Err(invalid("nats", "`url` or `urls` is required")),
        };
        if !(1..=MAX_SERVERS).contains(&urls.len()) {
            return Err(invalid(key, "expected 1 to 16 servers"));
        }
        // What does not fit is not quoted: a password may stand in it.
        urls.into_iter()
            .map(|url| address(url).ok_or(invalid(key, "expected nats://host:port or tls://host:port")))
            .collect()
    }
}

fn address(url: &str) -> Option<ServerAddr> {
    let address: ServerAddr = url.parse().ok()?;
    (matches!(address.scheme(), "nats" | "tls") && !address.host().is_empty()).then_some(address)
}

fn invalid(key: &'static str, reason: &'static str) -> SettingsError {
    SettingsError::Invalid { key, reason }
}

/// Why a connection cannot be configured so.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value that does not go, by itself or with another one.
    #[error("`{key}`: {reason}")]
    Invalid {
        /// Which key.
        key: &'static str,
        /// What is allowed.
        reason: &'static str,
    },
    /// A file that cannot be read.
    #[error("`{key}`: {}: {source}", path.display())]
    Unreadable {
        /// The key that names it.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that holds no secret, or one with something in it that cannot be seen.
    #[error("`{key}`: {}: {source}", path.display())]
    UnfitSecret {
        /// The key that names it.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// What is wrong with it; never the secret.
        source: Unfit,
    },
    /// A file that holds something else.
    #[error("`{key}`: {}: {expected}", path.display())]
    Unusable {
        /// The key that names it.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// What it should hold; never what it does hold.
        expected: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let settings: Settings = toml::from_str(text).unwrap();
        settings.read(Path::new("/nowhere")).unwrap_err().to_string()
    }

    #[test]
    fn both_forms_are_read() {
        let old: Settings = toml::from_str(r#"url = "nats://a:1, nats://b:2""#).unwrap();
        assert_eq!(old.read(Path::new("")).unwrap().addresses().len(), 2);
        let new: Settings = toml::from_str(r#"urls = ["tls://10.0.0.1:4222"]"#).unwrap();
        assert_eq!(new.read(Path::new("")).unwrap().addresses()[0].host(), "10.0.0.1");
    }

    /// Each bad table beside the message that it must give.
    #[test]
    fn bad_tables_are_refused_by_key() {
        for (text, message) in [
            ("", "`nats`: `url` or `urls` is required"),
            (
                r#"url = "a"
                urls = ["b"]"#,
                "`nats.urls`: there is `url` as well; choose one",
            ),
            ("urls = []", "`nats.urls`: expected 1 to 16 servers"),
            (r#"urls = ["ws://user:hidden@a"]"#, "`nats.urls`: expected nats://host:port or tls://host:port"),
            (r#"url = "http://a""#, "`nats.url`: expected nats://host:port or tls://host:port"),
            (
                r#"url = "a"
                user = "b""#,
                "`nats`: user and password_file go together",
            ),
            (
                r#"url = "a"
                user = "b"
                nkey_file = "c""#,
                "`nats`: user and password_file go together",
            ),
            (
                r#"url = "a"
                user = "b"
                password_file = "c"
                nkey_file = "d""#,
                "`nats.nkey_file`: there are user and password_file as well; choose one",
            ),
            (
                r#"url = "a"
                nkey_file = "c""#,
                "`nats.nkey_file`: /nowhere/c: No such file or directory (os error 2)",
            ),
            (
                r#"url = "a"
                ca_file = "c""#,
                "`nats.ca_file`: /nowhere/c: No such file or directory (os error 2)",
            ),
        ] {
            assert_eq!(refused(text), message, "{text}");
        }
    }
}
