//! Readers from outside: Python programs on public libraries, which share no code with what they judge.

mod cloud_events;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

pub use self::cloud_events::{CloudEvent, Message, cloud_events};

use crate::consumer::Delivery;
use crate::{Deployment, Failure, Result, programs};

/// For one reading.
const LIMIT: Duration = Duration::from_secs(120);

/// What a regional stream holds.
#[derive(Debug, Deserialize)]
pub struct RegionalStream {
    /// Its events, in order.
    pub events: Vec<RegionalEvent>,
    /// Messages that are no block.
    pub undecodable: usize,
}

/// An event of a regional stream.
#[derive(Debug, Deserialize)]
pub struct RegionalEvent {
    /// The event's id.
    pub id: String,
    /// The source's name.
    pub source: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// `Nats-Msg-Id` of the message that holds it.
    pub message_id: String,
    /// Sequence of that message.
    pub sequence: u64,
    /// Bytes of the signed body that were kept.
    pub raw_bytes: usize,
}

/// What the central log holds.
#[derive(Debug, Deserialize)]
pub struct CentralLog {
    /// Every event's copy with its verdict, in order.
    pub entries: Vec<Entry>,
    /// Every append, in order.
    pub appends: Vec<Append>,
}

/// One event's copy in the central log.
#[derive(Debug, Deserialize)]
pub struct Entry {
    /// The event's id.
    pub id: String,
    /// `stored`, `duplicate`, `filtered`, `responded` or `quarantined`.
    pub verdict: String,
    /// The source's name.
    pub source: String,
    /// Sequence in the log.
    pub sequence: u64,
    /// Place in the block.
    pub index: u32,
    /// The region that it came through.
    pub region: String,
    /// The lane that it came through.
    pub lane: String,
    /// Its block's sequence in the regional stream.
    pub origin: u64,
    /// That stream's incarnation.
    pub incarnation: String,
    /// Of a duplicate: sequence and place of the stored copy.
    pub duplicate_of: (u64, u32),
}

/// One message of the central log.
#[derive(Debug, Deserialize)]
pub struct Append {
    /// Its sequence.
    pub sequence: u64,
    /// The lease's epoch under which it was written.
    pub epoch: u64,
    /// Who wrote it.
    pub writer: String,
    /// `replica`, `fence`, `purge` or `incarnation`.
    pub kind: String,
    /// When, by the writer's clock.
    pub appended_at_us: u64,
}

impl CentralLog {
    /// Ids by how many entries have this verdict.
    pub fn count(&self, verdict: &str) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.verdict == verdict) {
            *counts.entry(entry.id.as_str()).or_default() += 1;
        }
        counts
    }

    /// How many entries have this verdict.
    pub fn total(&self, verdict: &str) -> u64 {
        self.count(verdict).values().map(|&count| count as u64).sum()
    }

    /// Checks what holds of every log: nothing is stored twice, no regional block is in it twice, every
    /// duplicate points at a stored copy before it, and no writer went on after a later one's fence.
    ///
    /// # Errors
    /// Names the first thing that is otherwise.
    pub fn check(&self) -> Result<()> {
        self.check_stored_once()?;
        self.check_positions_once()?;
        self.check_duplicates_point_back()?;
        self.check_epochs_rise()
    }

    fn check_stored_once(&self) -> Result<()> {
        match self.count("stored").into_iter().find(|&(_, count)| count > 1) {
            Some((id, count)) => {
                Err(Failure::new(format!("{id} is stored {count} times in the central log")))
            }
            None => Ok(()),
        }
    }

    fn check_positions_once(&self) -> Result<()> {
        let mut at = BTreeMap::new();
        for entry in &self.entries {
            let origin = (&entry.region, &entry.lane, &entry.incarnation, entry.origin);
            let first = *at.entry(origin).or_insert(entry.sequence);
            if first != entry.sequence {
                let both = format!("at {first} and at {}", entry.sequence);
                return Err(Failure::new(format!("the block {origin:?} is in the central log {both}")));
            }
        }
        Ok(())
    }

    fn check_duplicates_point_back(&self) -> Result<()> {
        let mut stored = BTreeSet::new();
        for entry in &self.entries {
            match entry.verdict.as_str() {
                "stored" => _ = stored.insert((entry.sequence, entry.index, entry.id.as_str())),
                "duplicate" => {
                    let (sequence, index) = entry.duplicate_of;
                    if !stored.contains(&(sequence, index, entry.id.as_str())) {
                        return Err(Failure::new(format!(
                            "{entry:?} is a duplicate of what is not stored before it"
                        )));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_epochs_rise(&self) -> Result<()> {
        let fell = self.appends.windows(2).find(|pair| {
            let same_writer = pair[0].writer == pair[1].writer;
            pair[1].epoch < pair[0].epoch || (!same_writer && pair[1].kind != "fence")
        });
        match fell {
            Some(pair) => {
                Err(Failure::new(format!("{:?} follows {:?}: a superseded writer went on", pair[1], pair[0])))
            }
            None => Ok(()),
        }
    }
}

/// What the public library says of deliveries.
#[derive(Debug, Deserialize)]
pub struct Verification {
    /// How many it accepts.
    pub verified: usize,
    /// Which it refuses.
    pub refused: Vec<usize>,
    /// How many it refuses once a byte was added.
    pub altered_refused: usize,
}

/// Decodes a region's stream of the lane `standard`, `critical` or `bulk`.
///
/// # Errors
/// If the reader fails.
pub async fn read_region(deployment: &Deployment, region: &str, lane: &str) -> Result<RegionalStream> {
    let ready = deployment.ready()?;
    let region = ready.regions.get(region).ok_or_else(|| Failure::new(format!("no region {region}")))?;
    read(&region.nats, &format!("IN_{}", lane.to_uppercase()), "region").await
}

/// Decodes the central log.
///
/// # Errors
/// If the reader fails.
pub async fn read_log(deployment: &Deployment) -> Result<CentralLog> {
    read_shard(deployment, 0).await
}

/// Decodes the central log of a shard.
///
/// # Errors
/// If the reader fails.
pub async fn read_shard(deployment: &Deployment, shard: u32) -> Result<CentralLog> {
    read(&deployment.ready()?.centre.nats, &format!("EVENTS_{shard}"), "log").await
}

async fn read<T: DeserializeOwned>(nats: &str, stream: &str, format: &str) -> Result<T> {
    let proto = programs::root().join("crates/event/proto");
    let proto = proto.to_string_lossy();
    let arguments = ["--proto", &*proto, "--nats", nats, "--stream", stream, "--format", format];
    run("outside_reader.py", &arguments, Vec::new()).await
}

/// Asks the public Standard Webhooks library about deliveries.
///
/// # Errors
/// If the program fails.
pub async fn verify(secret: &str, deliveries: &[Delivery]) -> Result<Verification> {
    let deliveries: Vec<_> = deliveries
        .iter()
        .map(|delivery| serde_json::json!({"headers": delivery.headers, "body_b64": BASE64.encode(&delivery.body)}))
        .collect();
    let input = serde_json::json!({"secret": secret, "deliveries": deliveries});
    run("verify_deliveries.py", &[], serde_json::to_vec(&input)?).await
}

/// A request for a provider's library to sign.
#[derive(Clone, Debug, Serialize)]
pub struct Unsigned {
    /// Whose library signs: `stripe`, `slack`, `twilio`, `standard` or `svix`.
    pub scheme: &'static str,
    /// The key.
    pub secret: String,
    /// The URL that the provider was given.
    pub url: String,
    /// The body.
    pub body: String,
}

/// The headers that the providers' public libraries sign requests with, now.
///
/// # Errors
/// If the program fails.
pub async fn sign(requests: &[Unsigned]) -> Result<Vec<BTreeMap<String, String>>> {
    #[derive(Deserialize)]
    struct Signed {
        headers: BTreeMap<String, String>,
    }
    let signed: Vec<Signed> = run("sign_as_providers.py", &[], serde_json::to_vec(requests)?).await?;
    Ok(signed.into_iter().map(|signed| signed.headers).collect())
}

/// A request that a provider's npm library signs, if it has no headers, and judges.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// Whose library judges: `github`, `slack` or `discord`.
    pub scheme: &'static str,
    /// The key. For Discord it is the seed of an Ed25519 key, in hex.
    pub secret: &'static str,
    /// The body.
    pub body: String,
    /// The headers, in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
}

/// The headers of a request, and whether the library takes it.
#[derive(Debug, Deserialize)]
pub struct Judgement {
    /// As they were given, or as it was signed now.
    pub headers: BTreeMap<String, String>,
    /// True if the library verifies the request.
    pub valid: bool,
}

/// What the providers' npm libraries say of requests.
///
/// # Errors
/// If the program fails, or there is none: see [`programs::node`].
pub async fn judge(requests: &[Judged]) -> Result<Vec<Judgement>> {
    let (node, script) = programs::node()?;
    run_program(&node, &script, &[], serde_json::to_vec(requests)?).await
}

async fn run<T: DeserializeOwned>(script: &str, arguments: &[&str], input: Vec<u8>) -> Result<T> {
    let script = programs::root().join("tests/python").join(script);
    run_program(&programs::python()?, &script, arguments, input).await
}

async fn run_program<T: DeserializeOwned>(
    program: &Path,
    script: &Path,
    arguments: &[&str],
    input: Vec<u8>,
) -> Result<T> {
    let mut child = Command::new(program)
        .arg(script)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdin = child.stdin.take();
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // A program that ends early says why on standard error.
            let _ = stdin.write_all(&input).await;
        }
    };
    let both = async { tokio::join!(feed, child.wait_with_output()).1 };
    let output = tokio::time::timeout(LIMIT, both).await??;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("{}: {}: {said}", script.display(), output.status)));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
