//! How servers are configured.
//!
//! Written as JSON, which nats-server's own format contains, so that a library does the quoting.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::server::Ports;
use super::{Cluster, Server};
use crate::{Result, ports};

/// The largest message, in bytes: what a region needs.
const MAX_PAYLOAD: u64 = 8 * 1024 * 1024;

/// A server's configuration before it starts. The default is a server without users and without TLS that
/// takes messages of up to 8 MiB and syncs each of them to disk before it acknowledges it.
#[derive(Clone, Debug)]
pub struct Setup {
    name: String,
    port: Option<u16>,
    store: Option<PathBuf>,
    sync_interval: String,
    options: Map<String, Value>,
}

impl Default for Setup {
    fn default() -> Self {
        let options = Map::from_iter([("max_payload".to_owned(), MAX_PAYLOAD.into())]);
        Self { name: "n0".to_owned(), port: None, store: None, sync_interval: "always".to_owned(), options }
    }
}

impl Setup {
    /// The server's name instead of `n0`; in a cluster they are always `n0`, `n1` and so on.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// This port for clients instead of a free one. Not for a cluster.
    #[must_use]
    pub fn on_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Keeps the streams in this folder, which outlives the server. Not for a cluster.
    #[must_use]
    pub fn store(mut self, folder: &Path) -> Self {
        self.store = Some(folder.to_owned());
        self
    }

    /// The largest message in bytes.
    #[must_use]
    pub fn max_payload(self, bytes: u64) -> Self {
        self.option("max_payload", bytes)
    }

    /// Syncs to disk this often, for example `2m`, instead of before each acknowledgement.
    #[must_use]
    pub fn syncs_every(mut self, interval: &str) -> Self {
        interval.clone_into(&mut self.sync_interval);
        self
    }

    /// Accepts clients by TLS only, with this certificate and key in PEM.
    #[must_use]
    pub fn tls(self, certificate: &Path, key: &Path) -> Self {
        self.option("tls", json!({"cert_file": certificate, "key_file": key}))
    }

    /// Lets in the holder of this public nkey, into an account with JetStream; others only if they are named
    /// as well.
    #[must_use]
    pub fn nkey_user(self, account: &str, public_key: &str) -> Self {
        self.with_user(account, json!({"nkey": public_key}))
    }

    /// Lets in a user with a password, into an account with JetStream; others only if they are named as well.
    #[must_use]
    pub fn user(self, account: &str, name: &str, password: &str) -> Self {
        self.with_user(account, json!({"user": name, "password": password}))
    }

    /// Sets any other option of nats-server.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.options.insert(name.to_owned(), value.into());
        self
    }

    /// Starts one server. [`Server::context`] waits until it answers.
    ///
    /// # Errors
    /// If there is no nats-server, which [`crate::Failure::is_missing`] tells, or it cannot be started.
    pub fn start(self) -> Result<Server> {
        let [free, monitoring] = ports::free()?;
        let ports = Ports { client: self.port.unwrap_or(free), monitoring };
        let folder = TempDir::new()?;
        let config = self.config(ports, folder.path());
        Server::start_new(self.name, ports, folder, &config)
    }

    /// Starts a cluster of `size` servers; a single one keeps no copies. [`Cluster::context`] waits until it
    /// answers.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_cluster(self, size: usize) -> Result<Cluster> {
        let mut chosen = Vec::with_capacity(size);
        for _ in 0..size {
            chosen.push(ports::free::<3>()?);
        }
        let route = |[_, _, route]: &[u16; 3]| format!("nats://127.0.0.1:{route}");
        let routes: Vec<_> = chosen.iter().map(route).collect();
        let mut servers = Vec::with_capacity(size);
        for (number, [client, monitoring, route]) in chosen.into_iter().enumerate() {
            let mut member = self.clone().named(&format!("n{number}"));
            if size > 1 {
                let listen = format!("127.0.0.1:{route}");
                member =
                    member.option("cluster", json!({"name": "test", "listen": listen, "routes": &routes}));
            }
            let (ports, folder) = (Ports { client, monitoring }, TempDir::new()?);
            let config = member.config(ports, folder.path());
            servers.push(Server::start_new(member.name, ports, folder, &config)?);
        }
        Ok(Cluster::of(servers))
    }

    fn with_user(mut self, account: &str, user: Value) -> Self {
        let accounts = self.options.entry("accounts").or_insert_with(|| json!({}));
        if accounts[account].is_null() {
            accounts[account] = json!({"jetstream": "enabled", "users": []});
        }
        if let Some(users) = accounts[account]["users"].as_array_mut() {
            users.push(user);
        }
        self
    }

    fn config(&self, ports: Ports, folder: &Path) -> Value {
        let store = self.store.clone().unwrap_or_else(|| folder.join("store"));
        let mut options = self.options.clone();
        options.insert("server_name".to_owned(), self.name.as_str().into());
        options.insert("listen".to_owned(), format!("127.0.0.1:{}", ports.client).into());
        options.insert("http".to_owned(), format!("127.0.0.1:{}", ports.monitoring).into());
        let jetstream = json!({"store_dir": store, "sync_interval": self.sync_interval});
        options.insert("jetstream".to_owned(), jetstream);
        Value::Object(options)
    }
}
