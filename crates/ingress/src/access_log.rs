//! The access log: a line of JSON for some requests. A line has neither the query nor a header's value,
//! except for the id of the sender's trace. Writing it holds up no request.

mod rate;
mod settings;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Instant, SystemTime};

use floodgate_event::{EventId, Name, trace_context};
use http::{Request, Response, StatusCode, Version};
use prometheus::IntCounter;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::warn;

use self::rate::LineRate;
pub use self::settings::{AccessLogSettings, AccessOutput};

/// The most lines that wait to be written, each of at most some 1,000 bytes.
const WAITING: usize = 1_024;
/// The most bytes of a path in a line.
const MAX_PATH: usize = 512;
/// The most bytes of a method that are written.
const MAX_METHOD: usize = 32;

/// Writes lines about requests.
#[derive(Debug)]
pub struct AccessLog {
    settings: AccessLogSettings,
    rate: LineRate,
    lines: SyncSender<String>,
    left_out: IntCounter,
}

/// What became of a request, beside its status. It is an extension of the response.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The value of the label `outcome` of `floodgate_ingest_requests_total`.
    pub code: &'static str,
    /// The source, if the request named one.
    pub source: Option<Name>,
    /// The id of the event that was accepted.
    pub event: Option<EventId>,
}

impl Outcome {
    /// The outcome of a request to a source.
    pub fn of(code: &'static str, source: &Name, event: Option<EventId>) -> Self {
        Self { code, source: Some(source.clone()), event }
    }
}

/// What a line says.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    peer: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    status: u16,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
}

impl AccessLog {
    /// Starts the thread that writes. Returns `None` if no request gets a line. `left_out` counts lines that
    /// are not written.
    pub fn start(
        settings: AccessLogSettings,
        output: AccessOutput,
        left_out: IntCounter,
    ) -> Option<Arc<Self>> {
        if settings.success_one_in == 0 && settings.refusal_one_in == 0 {
            return None;
        }
        let (lines, waiting) = sync_channel(WAITING);
        // A thread of its own, because whoever reads the output may be slow for any time.
        let thread = std::thread::Builder::new().name("access-log".to_owned());
        if let Err(error) = thread.spawn(move || write(output, &waiting)) {
            warn!(%error, "cannot write an access log");
            return None;
        }
        let rate = LineRate::new(settings.lines_per_second);
        Some(Arc::new(Self { settings, rate, lines, left_out }))
    }

    /// Decides by chance whether a request may get a line. Returns `None` if it gets none however it ends.
    pub fn begin<B>(self: &Arc<Self>, request: &Request<B>, peer: SocketAddr) -> Option<Entry> {
        let chance = Chance::new(&self.settings);
        chance.may_be_chosen().then(|| Entry {
            log: Arc::clone(self),
            chance,
            started: Instant::now(),
            peer,
            method: shortened(request.method().as_str(), MAX_METHOD).to_owned(),
            path: shortened(request.uri().path(), MAX_PATH).to_owned(),
            version: request.version(),
            trace: trace_id(request),
        })
    }

    /// Writes a line for a request that was refused for its head alone, of which nothing is kept.
    pub fn refused_head(&self, peer: SocketAddr, status: StatusCode, code: &'static str) {
        if Chance::new(&self.settings).refusal {
            self.write(|| Line {
                time: now(),
                peer,
                method: None,
                path: None,
                protocol: None,
                source: None,
                status: status.as_u16(),
                outcome: code,
                event_id: None,
                bytes_in: None,
                duration_us: None,
                trace_id: None,
            });
        }
    }

    fn write<'a>(&self, line: impl FnOnce() -> Line<'a>) {
        let written = self.rate.admit(Instant::now()) && {
            // Texts and numbers always serialize.
            let text = serde_json::to_string(&line()).unwrap_or_default();
            self.lines.try_send(text).is_ok()
        };
        if !written {
            self.left_out.inc();
        }
    }
}

/// Whether a request gets a line, depending on how it ends.
#[derive(Debug, Clone, Copy)]
struct Chance {
    success: bool,
    refusal: bool,
}

impl Chance {
    fn new(settings: &AccessLogSettings) -> Self {
        let chosen = |one_in: u32| match one_in {
            0 => false,
            1 => true,
            one_in => rand::random_ratio(1, one_in),
        };
        Self { success: chosen(settings.success_one_in), refusal: chosen(settings.refusal_one_in) }
    }

    fn may_be_chosen(self) -> bool {
        self.success || self.refusal
    }
}

/// A request that may get a line.
#[derive(Debug)]
pub struct Entry {
    log: Arc<AccessLog>,
    chance: Chance,
    started: Instant,
    peer: SocketAddr,
    // Copies, because a part of a head keeps all of it in memory.
    method: String,
    path: String,
    version: Version,
    trace: Option<String>,
}

impl Entry {
    /// Writes the line if the request was chosen, once its answer is there. `bytes_in` are those of its body.
    pub fn end<B>(self, response: &mut Response<B>, bytes_in: u64) {
        let outcome = response.extensions_mut().remove::<Outcome>();
        let status = response.status();
        let is_refused = status.as_u16() >= 400;
        let is_chosen = if is_refused { self.chance.refusal } else { self.chance.success };
        if !is_chosen {
            return;
        }
        let code = if is_refused { "refused" } else { "served" };
        let Outcome { code, source, event } = outcome.unwrap_or(Outcome { code, source: None, event: None });
        let duration = self.started.elapsed().as_micros();
        self.log.write(|| Line {
            time: now(),
            peer: self.peer,
            method: Some(&self.method),
            path: Some(&self.path),
            protocol: Some(protocol(self.version)),
            source: source.as_ref().map(Name::as_str),
            status: status.as_u16(),
            outcome: code,
            event_id: event.map(|id| id.to_string()),
            bytes_in: Some(bytes_in),
            duration_us: Some(u64::try_from(duration).unwrap_or(u64::MAX)),
            trace_id: self.trace.as_deref(),
        });
    }
}

fn now() -> String {
    OffsetDateTime::from(SystemTime::now()).format(&Rfc3339).unwrap_or_default()
}

fn trace_id<B>(request: &Request<B>) -> Option<String> {
    let parent = request.headers().get(trace_context::PARENT)?;
    trace_context::trace_id(parent.to_str().ok()?).map(str::to_owned)
}

/// Cuts a text to at most `most` bytes.
fn shortened(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// Writes lines until there is nobody who sends any.
fn write(AccessOutput(mut output): AccessOutput, lines: &Receiver<String>) {
    for mut line in lines {
        line.push('\n');
        let written = output.write_all(line.as_bytes()).and_then(|()| output.flush());
        if let Err(error) = written {
            // Later lines are counted as left out, because nobody takes them any more.
            warn!(%error, "the access log cannot be written any more");
            return;
        }
    }
}

#[cfg(test)]
mod tests;
