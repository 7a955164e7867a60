//! The life of a deployment: prepared, started, watched, stopped.

use std::path::{Path, PathBuf};

use floodgate_event::{Name, ShardCount};

use crate::error::Error;
use crate::folder::Folder;
use crate::layout::Layout;
use crate::part::Stage;
use crate::probe::Prober;
use crate::ready::{Ready, ReadyFile};
use crate::regions::Regions;
use crate::supervisor::Supervisor;
use crate::{nats_server, ports, shards};

/// What a deployment is to be.
#[derive(Debug)]
pub struct Options {
    /// The regions' names: 1 to 9, none twice, none of them `centre`.
    pub regions: Vec<Name>,
    /// How many shards the centre has; 1 if left out. A folder keeps the number that it began with.
    pub shards: Option<ShardCount>,
    /// The folder that keys, configuration, streams and logs are kept in between runs.
    pub folder: PathBuf,
    /// The first port; with 0, free ports are chosen once and kept.
    pub port_base: u16,
    /// True if the gateways take webhooks over TLS, false for plain HTTP.
    pub tls: bool,
    /// Where to write how to reach everything; `ready.json` in the folder if left out.
    pub ready_file: Option<PathBuf>,
}

/// A deployment on this machine. Its parts are processes of the running program, which must take
/// `gateway --config FILE`, `relay --config FILE` and `tether --parent PID -- PROGRAM ARGUMENTS`
/// ([`crate::tether::run`]).
///
/// Dropped without [`Self::stop`], it kills its processes.
///
/// The thread that calls [`Self::start`] must live as long as the deployment: the kernel ends a part when the
/// thread that started it ends.
pub struct Deployment {
    layout: Layout,
    supervisor: Supervisor,
    ready_file: ReadyFile,
    ready: Ready,
}

impl Deployment {
    /// Finds nats-server, takes the folder for this process, and makes the keys, certificates, ports and
    /// configuration files that are missing. Starts nothing.
    ///
    /// # Errors
    /// If an option is wrong ([`Error::is_usage`]), there is no nats-server that is new enough, the folder is
    /// in use or may be changed by another user, or a port is taken.
    pub fn prepare(options: Options) -> Result<Self, Error> {
        let regions = Regions::new(options.regions)?;
        let nats_server = nats_server::find()?;
        let folder = Folder::open(&options.folder)?;
        let ready_file = options.ready_file.unwrap_or_else(|| folder.path("ready.json"));
        let ready_file = ReadyFile::new(ready_file)?;
        let shards = shards::choose(options.shards, &folder)?;
        let ports = ports::choose(options.port_base, &regions, &folder)?;
        let layout = Layout::prepare(folder, &regions, shards, ports, options.tls)?;
        let supervisor = Supervisor::new(layout.parts(nats_server)?);
        let ready = layout.ready();
        Ok(Self { layout, supervisor, ready_file, ready })
    }

    /// Starts the parts in order, waits until all are ready, and writes the ready file. A part that ends
    /// before that ends the start: its log says why, and a loop of restarts would hide it.
    ///
    /// # Errors
    /// If a part ends or is not ready within two minutes, or the ready file cannot be written.
    pub async fn start(&mut self) -> Result<(), Error> {
        let prober = Prober::new(self.layout.ca_file())?;
        for stages in [&[Stage::Nats][..], &[Stage::Relay, Stage::Gateway]] {
            stages.iter().for_each(|&stage| self.supervisor.start(stage));
            tokio::select! {
                ready = prober.wait(self.layout.probes(stages)) => ready?,
                ended = self.supervisor.first_end() => return Err(ended.into()),
            }
        }
        self.write_ready_file()
    }

    /// Waits until a part that died was started again, and writes its process id into the ready file.
    /// Cancel-safe.
    ///
    /// # Errors
    /// If the ready file cannot be written.
    pub async fn restarted(&mut self) -> Result<(), Error> {
        self.supervisor.restarted().await;
        self.write_ready_file()
    }

    fn write_ready_file(&self) -> Result<(), Error> {
        Ok(self.ready_file.write(&self.ready, self.supervisor.processes())?)
    }

    /// How to reach the deployment.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The ready file's path.
    pub fn ready_file(&self) -> &Path {
        self.ready_file.path()
    }

    /// Removes the ready file and stops the parts: gateways, then the relay, then the nats-servers. Takes up
    /// to 90 seconds, then kills what is left.
    pub async fn stop(self) {
        self.ready_file.remove();
        self.supervisor.stop().await;
    }
}
