//! A cluster of nats-servers on free ports of the loopback address, each with a folder of its own.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, Context};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{Failure, Result, process, programs};

/// How long a cluster may take until it answers; only a test that has failed waits for so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is asked.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What every server is configured with: what a region needs.
const COMMON: &str = "max_payload: 8388608\n";

/// Some servers, killed when dropped.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
    _folder: TempDir,
}

/// One of them.
#[derive(Debug)]
pub struct Server {
    name: String,
    port: u16,
    config: PathBuf,
    process: Option<Child>,
}

impl Cluster {
    /// Starts a cluster of `size` servers; of a single one there are no replicas.
    /// `extra` goes into each configuration.
    ///
    /// # Errors
    /// If there is no nats-server, or it does not start.
    pub fn start(size: usize, extra: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ports = free_ports(size)?;
        let routes: Vec<String> =
            ports.iter().map(|[_, route]| format!("nats://127.0.0.1:{route}")).collect();
        let mut servers = Vec::with_capacity(size);
        for (number, [port, route]) in ports.iter().copied().enumerate() {
            let name = format!("n{number}");
            let config = folder.path().join(format!("{name}.conf"));
            let store = folder.path().join(&name);
            let cluster = format!(
                "cluster {{ name: test, listen: \"127.0.0.1:{route}\", routes: [{}] }}\n",
                routes.join(", ")
            );
            let cluster = if size > 1 { cluster.as_str() } else { "" };
            fs::write(
                &config,
                format!(
                    "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\n{COMMON}\
                     jetstream {{ store_dir: \"{}\", sync_interval: always }}\n{cluster}{extra}\n",
                    store.display()
                ),
            )?;
            let mut server = Server { name, port, config, process: None };
            server.start()?;
            servers.push(server);
        }
        Ok(Self { servers, _folder: folder })
    }

    /// The servers' URLs, that of the server `last` at the end.
    pub fn urls(&self, last: &str) -> Vec<String> {
        let url = |server: &Server| format!("nats://127.0.0.1:{}", server.port);
        let (ends, begins): (Vec<_>, Vec<_>) = self.servers.iter().partition(|server| server.name == last);
        begins.into_iter().chain(ends).map(url).collect()
    }

    /// A client of the servers that run; waits until streams with `replicas` can be made.
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

    /// The name of a server.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn server(&mut self, name: &str) -> Result<&mut Server> {
        let found = self.servers.iter_mut().find(|server| server.name == name);
        found.ok_or_else(|| Failure::new(format!("no server {name}")))
    }

    /// The names of all servers.
    pub fn names(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.name.clone()).collect()
    }
}

impl Server {
    /// Starts it, or starts it again, with the same files.
    ///
    /// # Errors
    /// If there is no nats-server.
    pub fn start(&mut self) -> Result<()> {
        let mut command = Command::new(programs::nats_server());
        let log = fs::File::create(self.config.with_extension("log"))?;
        command.arg("--config").arg(&self.config).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn()?);
        Ok(())
    }

    /// As `kill -9` does.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.process.take().ok_or_else(|| Failure::new("it does not run"))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.process.as_ref().ok_or_else(|| Failure::new("it does not run"))?;
        process::signal(child.id(), signal)
    }

    /// Where it listens on the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.process {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The server that leads a stream; `None` while there is none.
pub async fn leader(context: &Context, stream: &str) -> Option<String> {
    let stream = context.get_stream(stream).await.ok()?;
    stream.cached_info().cluster.as_ref()?.leader.clone()
}

/// Asks the kernel for ports for clients and for routes, all of them different; between here and their use
/// another process could take one, which fails the test.
fn free_ports(servers: usize) -> Result<Vec<[u16; 2]>> {
    let listen = || TcpListener::bind("127.0.0.1:0");
    let held: Vec<_> = (0..servers).map(|_| Ok([listen()?, listen()?])).collect::<Result<_>>()?;
    held.iter().map(|[client, route]| Ok([client.local_addr()?.port(), route.local_addr()?.port()])).collect()
}
