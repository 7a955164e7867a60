//! Servers that keep copies of each other's streams.

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, Context};
use tokio::time::sleep;

use super::{LOOK_EVERY, PATIENCE, Server};
use crate::{Failure, Result};

/// Some servers, killed when dropped.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
}

impl Cluster {
    pub(super) fn of(servers: Vec<Server>) -> Self {
        Self { servers }
    }

    /// The servers' URLs, that of the server `last` at the end.
    pub fn urls(&self, last: &str) -> Vec<String> {
        let (ends, begins): (Vec<_>, Vec<_>) = self.servers.iter().partition(|server| server.name() == last);
        begins.into_iter().chain(ends).map(Server::url).collect()
    }

    /// A client of the servers that run; waits until streams with `replicas` can be made, at most two
    /// minutes.
    ///
    /// # Errors
    /// If they do not answer in time.
    pub async fn context(&self, replicas: usize) -> Result<Context> {
        let options = ConnectOptions::new().retry_on_initial_connect();
        let context = jetstream::new(options.connect(self.urls("")).await?);
        let probe = || jetstream::stream::Config {
            name: "PROBE".to_owned(),
            subjects: vec!["probe".to_owned()],
            num_replicas: replicas,
            ..Default::default()
        };
        let answers = async {
            while context.create_stream(probe()).await.is_err() {
                sleep(LOOK_EVERY).await;
            }
            context.delete_stream("PROBE").await
        };
        tokio::time::timeout(PATIENCE, answers).await??;
        Ok(context)
    }

    /// The server of this name: `n0`, `n1` and so on.
    ///
    /// # Errors
    /// If there is none.
    pub fn server(&mut self, name: &str) -> Result<&mut Server> {
        let found = self.servers.iter_mut().find(|server| server.name() == name);
        found.ok_or_else(|| Failure::new(format!("no server {name}")))
    }

    /// The names of all servers.
    pub fn names(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.name().to_owned()).collect()
    }
}
