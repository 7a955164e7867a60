//! A 2xx means durable: each one follows an fsync of the region's stream that covers its
//! event, as the kernel saw it.
//!
//! `strace` watches the region's nats-server. For each acknowledged event the outside reader tells which
//! message holds it; that message's id is looked for in the bytes that were written to the stream's block
//! files, and a later fsync of the same file must have ended before the 200 was read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use floodgate_testkit::{Failure, Result, Scene, outside, process, wait};
use nix::sys::signal::Signal;
use tokio::task::JoinSet;

const SENDERS: u64 = 8;
const EVENTS_PER_SENDER: u64 = 25;
const ATTACH_LIMIT: Duration = Duration::from_secs(10);
/// Of each written buffer, in bytes: enough for a message's headers, which hold its id.
const SHOWN: &str = "512";

#[tokio::test(flavor = "multi_thread")]
async fn each_200_follows_an_fsync_that_covers_its_event() -> Result<()> {
    Scene::play(async |scene| {
        let trace = Trace::attach(scene).await?;
        let answers = send(scene).await?;
        let calls = trace.end()?;

        let stream = outside::read_region(&scene.deployment, "eu", "standard").await?;
        let messages: BTreeMap<_, _> =
            stream.events.iter().map(|event| (&event.id, &event.message_id)).collect();
        for (id, answered) in &answers {
            let message =
                messages.get(id).ok_or_else(|| Failure::new(format!("{id} is not in the stream")))?;
            let synced = synced_at(&calls, message)?;
            assert!(
                synced <= *answered,
                "{id} was answered {answered}, and its block {message} synced {synced}"
            );
        }
        eprintln!("{} answers, {} blocks, {} calls traced", answers.len(), blocks(&messages), calls.len());
        Ok(())
    })
    .await
}

fn blocks(messages: &BTreeMap<&String, &String>) -> usize {
    messages.values().collect::<std::collections::BTreeSet<_>>().len()
}

/// Microseconds since 1970, on the clock that `strace` stamps with.
type Micros = u128;

/// When the message was safe: the end of the first fsync that began after its write had ended.
fn synced_at(calls: &[Call], message: &str) -> Result<Micros> {
    let written = calls.iter().find(|call| call.name == "pwrite64" && call.text.contains(message));
    let written = written.ok_or_else(|| Failure::new(format!("no write of the block {message} was seen")))?;
    let covers =
        |call: &&Call| call.name == "fsync" && call.path == written.path && call.start >= written.end;
    let synced = calls.iter().find(covers);
    synced.map(|call| call.end).ok_or_else(|| Failure::new(format!("no fsync covers the block {message}")))
}

async fn send(scene: &Scene) -> Result<Vec<(String, Micros)>> {
    let mut senders = JoinSet::new();
    for first in 0..SENDERS {
        let numbers = first * EVENTS_PER_SENDER..(first + 1) * EVENTS_PER_SENDER;
        let signed: Result<Vec<_>> =
            numbers.map(|number| scene.standard(&format!("msg_{number}"), "{}")).collect();
        let (signed, sender) = (signed?, scene.sender.clone());
        senders.spawn(async move {
            let mut answers = Vec::new();
            for signed in signed {
                let answer = sender.post("eu", &signed).await?;
                answers.push((
                    answer.accepted()?.to_owned(),
                    answer.finished.duration_since(UNIX_EPOCH)?.as_micros(),
                ));
            }
            Ok::<_, Failure>(answers)
        });
    }
    let mut answers = Vec::new();
    while let Some(sent) = senders.join_next().await {
        answers.extend(sent??);
    }
    Ok(answers)
}

/// A running `strace`.
struct Trace {
    strace: Child,
    output: PathBuf,
}

impl Trace {
    /// Watches the region's nats-server.
    async fn attach(scene: &Scene) -> Result<Self> {
        let output = scene.deployment.scratch().join("strace.txt");
        let said = scene.deployment.scratch().join("strace.log");
        let strace = Command::new("strace")
            .args(["-f", "-ttt", "-T", "-y", "-s", SHOWN, "-e", "trace=pwrite64,fsync", "-o"])
            .arg(&output)
            .args(["-p", &scene.deployment.process("nats-eu")?.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said)?)
            .spawn()
            .map_err(|_| Failure::missing("durability, which needs `strace` (Debian package strace)"))?;
        let mut trace = Self { strace, output };
        trace.wait_attached(&said).await?;
        Ok(trace)
    }

    async fn wait_attached(&mut self, said: &Path) -> Result<()> {
        wait::until("strace to attach", ATTACH_LIMIT, async || {
            let words = fs::read_to_string(said)?;
            if self.strace.try_wait()?.is_some() {
                return Ok(Some(Err(Failure::missing(format!(
                    "durability: strace may not attach here: {words}"
                )))));
            }
            Ok(words.contains("attached").then_some(Ok(())))
        })
        .await?
    }

    /// Detaches and reads what was seen.
    fn end(mut self) -> Result<Vec<Call>> {
        process::signal(self.strace.id(), Signal::SIGINT)?;
        self.strace.wait()?;
        parse(&String::from_utf8_lossy(&fs::read(&self.output)?))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// A finished system call on a block file of the stream.
#[derive(Debug)]
struct Call {
    name: String,
    path: String,
    text: String,
    start: Micros,
    end: Micros,
}

/// Reads `PID TIME name(fd<path>, …) = n <seconds>`; a call that another thread's interrupts is on two lines,
/// the second of which begins with `<... name resumed>`.
fn parse(trace: &str) -> Result<Vec<Call>> {
    let mut unfinished = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        // Short thread numbers are padded.
        let Some((thread, rest)) = line.split_once(char::is_whitespace) else { continue };
        let Some((time, rest)) = rest.trim_start().split_once(char::is_whitespace) else { continue };
        let now = micros(time)?;
        let rest = rest.trim_start();
        if rest.starts_with("<... ") {
            if let Some((text, start)) = unfinished.remove(thread) {
                calls.extend(call(text, start, now));
            }
        } else if rest.ends_with("<unfinished ...>") {
            unfinished.insert(thread, (rest, now));
        } else if let Some(took) = rest.rsplit_once('<').and_then(|(_, took)| took.strip_suffix('>')) {
            calls.extend(call(rest, now, now + micros(took)?));
        }
    }
    calls.sort_by_key(|call| call.start);
    Ok(calls)
}

fn call(text: &str, start: Micros, end: Micros) -> Option<Call> {
    let (name, arguments) = text.split_once('(')?;
    let path = arguments.split_once('<')?.1.split_once('>')?.0;
    let ours = path.contains("/IN_STANDARD/") && path.ends_with(".blk");
    ours.then(|| Call { name: name.to_owned(), path: path.to_owned(), text: text.to_owned(), start, end })
}

fn micros(seconds: &str) -> Result<Micros> {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    Ok(whole.parse::<Micros>()? * 1_000_000 + format!("{fraction:0<6}")[..6].parse::<Micros>()?)
}

#[test]
fn a_trace_is_read_with_its_interrupted_calls() -> Result<()> {
    let trace = "\
7 1.000100 pwrite64(9</s/IN_STANDARD/msgs/1.blk>, \"Nats-Msg-Id: A\", 85, 0 <unfinished ...>
8   1.000150 fsync(4</other/1.blk>) = 0 <0.000010>
7 1.000200 <... pwrite64 resumed>) = 85 <0.000100>
7 1.000300 fsync(9</s/IN_STANDARD/msgs/1.blk>) = 0 <0.000400>
";
    let calls = parse(trace)?;
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert_eq!(synced_at(&calls, "A")?, 1_000_700);
    assert!(synced_at(&calls, "B").is_err());
    Ok(())
}
