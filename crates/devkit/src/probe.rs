//! Finds out when a part is ready.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// How long all parts together may take to become ready: a relay that lost its ledger rebuilds it first.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
/// How long one question may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// The wait between two questions.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// A question that a part answers once it is ready.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) part: String,
    pub(crate) target: Target,
}

/// The kind of question.
#[derive(Debug)]
pub(crate) enum Target {
    /// Does a nats-server greet at this address?
    Nats(SocketAddr),
    /// Does this URL answer with a 2xx?
    Http(String),
}

/// Asks the parts of the deployment whether they are ready.
pub(crate) struct Prober(Client);

impl Prober {
    /// Makes a prober that trusts the deployment's own authority.
    pub(crate) fn new(ca: Option<&Path>) -> Result<Self, Error> {
        let mut client = Client::builder().no_proxy().timeout(REQUEST_TIMEOUT);
        if let Some(path) = ca {
            let pem = std::fs::read(path).map_err(|source| Error::Ca { path: path.to_owned(), source })?;
            client = client.tls_certs_only([Certificate::from_pem(&pem).map_err(Error::Client)?]);
        }
        client.build().map(Self).map_err(Error::Client)
    }

    /// Waits until all parts are ready.
    pub(crate) async fn wait(&self, probes: Vec<Probe>) -> Result<(), Error> {
        let deadline = Instant::now() + READY_TIMEOUT;
        for probe in probes {
            while let Err(answer) = self.ask(&probe.target).await {
                if Instant::now() >= deadline {
                    return Err(Error::NotReady { part: probe.part, answer });
                }
                sleep(RETRY_INTERVAL).await;
            }
        }
        Ok(())
    }

    async fn ask(&self, target: &Target) -> Result<(), Answer> {
        match target {
            Target::Nats(address) => greeted(*address).await.map_err(Answer::Silence),
            Target::Http(url) => {
                let response = self.0.get(url).send().await.map_err(Answer::Unreachable)?;
                let status = response.status();
                if status.is_success() { Ok(()) } else { Err(Answer::Status(status)) }
            }
        }
    }
}

/// A nats-server speaks first, with `INFO {…}`.
async fn greeted(address: SocketAddr) -> io::Result<()> {
    let greeting = async {
        let mut first = [0; 4];
        TcpStream::connect(address).await?.read_exact(&mut first).await?;
        if &first == b"INFO" { Ok(()) } else { Err(io::Error::from(io::ErrorKind::InvalidData)) }
    };
    timeout(REQUEST_TIMEOUT, greeting).await.map_err(io::Error::from)?
}

/// The answer of a part that is not ready.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It answered with a status that is not 2xx.
    Status(reqwest::StatusCode),
    /// It gave no HTTP response.
    Unreachable(reqwest::Error),
    /// It did not greet as a nats-server does.
    Silence(io::Error),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "it answers {status}"),
            Self::Unreachable(error) => write!(f, "it does not answer ({error})"),
            Self::Silence(error) => write!(f, "it does not answer ({error})"),
        }
    }
}

/// Why it is not known that the parts are ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A part did not become ready.
    #[error("{part} was not ready after {} seconds: {answer}; see its log", READY_TIMEOUT.as_secs())]
    NotReady {
        part: String,
        /// The answer to the last question.
        answer: Answer,
    },
    /// The authority's certificate cannot be read.
    #[error("cannot read {}", path.display())]
    Ca { path: std::path::PathBuf, source: io::Error },
    /// There is no HTTP client.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
}
