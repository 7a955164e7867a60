//! The `nats` table of a configuration file.

use std::path::{Path, PathBuf};

use async_nats::ServerAddr;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::SettingsError;
use crate::servers::{Identity, Servers};

/// The most servers that a connection may name.
const MAX_SERVERS: usize = 16;

/// A `nats` table of a configuration file: which servers a process connects to, and as whom.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// One server, `nats://host:port` or `tls://host:port`, or several joined by commas. Set either this or
    /// `urls`.
    pub url: Option<String>,
    /// The servers of a cluster, each as `nats://host:port` or `tls://host:port`. The process prefers
    /// the first, and uses the others while it cannot reach it. Set either this or `url`.
    #[schemars(
        length(min = 1, max = MAX_SERVERS),
        extend("x-type" = "list of URLs"),
        example = ["tls://10.1.0.1:4222", "tls://10.1.0.2:4222", "tls://10.1.0.3:4222"]
    )]
    pub urls: Option<Vec<String>>,
    /// The name of a NATS user who signs in with a password. Needs `password_file`.
    #[schemars(extend("x-reload" = true))]
    pub user: Option<String>,
    /// The file with the password of `user`.
    #[schemars(extend("x-reload" = true))]
    pub password_file: Option<PathBuf>,
    /// The file with the seed of an nkey, as `floodgate keys nkey` writes it. Set either this or `user`.
    /// Without both the process connects without credentials.
    #[schemars(example = "/etc/floodgate/nats.nk", extend("x-reload" = true))]
    pub nkey_file: Option<PathBuf>,
    /// A PEM file with certificates of authorities. The process then connects only with TLS, and only to
    /// servers whose certificate one of these authorities signed. It reads the file at each connection. If
    /// left out, `tls://` trusts the authorities of the system.
    #[schemars(example = "/etc/floodgate/ca.pem")]
    pub ca_file: Option<PathBuf>,
}

impl Settings {
    /// Checks everything that needs no other file.
    ///
    /// # Errors
    /// Names the key and the allowed values.
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

    /// Reads the files that the settings name. Relative paths start at `folder`.
    ///
    /// # Errors
    /// Names the key and the file or the allowed values. An error never contains a secret.
    pub fn read(&self, folder: &Path) -> Result<Servers, SettingsError> {
        self.check()?;
        let path = |file: &PathBuf| folder.join(file);
        let identity = match (&self.user, &self.password_file, &self.nkey_file) {
            (Some(user), Some(password), _) => Identity::password(user, &path(password))?,
            (_, _, Some(seed)) => Identity::nkey(&path(seed))?,
            _ => Identity::Anonymous,
        };
        Servers::new(self.addresses()?, identity, self.ca_file.as_ref().map(path))
    }

    /// The same settings with absolute paths, if `folder` is absolute.
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
        // The error does not quote the URL, because it may contain a password.
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
