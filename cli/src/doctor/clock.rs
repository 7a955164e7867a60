//! Compares this host's clock with that of a NATS server, which puts its time into its answer to a stream
//! info request, and measures the round trip.

use std::time::{Duration, Instant};

use async_nats::Client;
use serde::Deserialize;
use time::OffsetDateTime;

use super::finding::{Advice, Findings, State};
use super::server;

/// How many requests are made. The fastest one counts.
const TRIES: u32 = 3;
/// A clock that is off by more is a warning, or wrong. The error of a provider's clock adds to it, and the
/// time of a signature may be off by 300 s unless a source says otherwise.
const WARN: Duration = Duration::from_secs(2);
const WRONG: Duration = Duration::from_secs(30);
/// A round trip that slows replication down.
const SLOW: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Answer {
    #[serde(with = "time::serde::rfc3339")]
    ts: OffsetDateTime,
}

/// What one request shows.
#[derive(Clone, Copy, Debug)]
struct Reading {
    took: Duration,
    /// The server's clock less this host's, exact to half of `took`.
    offset: time::Duration,
}

/// Checks clock and round trip by asking about a stream that exists.
pub(super) async fn check(label: &str, client: &Client, stream: &str, findings: &mut Findings) {
    let mut best: Option<Reading> = None;
    for _ in 0..TRIES {
        let reading = read(client, stream).await;
        best = best.into_iter().chain(reading).min_by_key(|reading| reading.took);
    }
    let Some(best) = best else {
        return findings.unknown("clock", label, "no answer with a time in it", "look at the server");
    };
    findings.add_judged(
        if best.took < SLOW { State::Ok } else { State::Warning },
        "round trip",
        label,
        format!("{:.1} ms", best.took.as_secs_f64() * 1e3),
        Advice("Every append and every read waits for it.", "look at the network between"),
    );
    let advice = Advice(
        "Signatures carry times: a gateway with a wrong clock refuses good ones, or takes old ones. The centre's clock \
         rules retries and for how long ids are remembered.",
        "run an NTP client (chrony, systemd-timesyncd) on both hosts",
    );
    findings.add_judged(judge(best), "clock", label, shown(best), advice);
}

async fn read(client: &Client, stream: &str) -> Option<Reading> {
    let (asked_at, asked) = (OffsetDateTime::now_utc(), Instant::now());
    let answer: Answer = server::ask(client, format!("$JS.API.STREAM.INFO.{stream}")).await.ok()?;
    let took = asked.elapsed();
    Some(Reading { took, offset: answer.ts - (asked_at + took / 2) })
}

/// Judges the clock. A difference that the round trip may explain does not count.
fn judge(reading: Reading) -> State {
    let off = reading.offset.unsigned_abs().saturating_sub(reading.took / 2);
    if off >= WRONG {
        State::Wrong
    } else if off >= WARN {
        State::Warning
    } else {
        State::Ok
    }
}

fn shown(reading: Reading) -> String {
    let (offset, within) = (reading.offset.as_seconds_f64(), reading.took.as_secs_f64() / 2.0);
    format!("{offset:+.3} s from this host's, within {within:.3} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_way_is_no_wrong_clock() {
        let reading = |offset: i64, took: u64| Reading {
            took: Duration::from_millis(took),
            offset: time::Duration::milliseconds(offset),
        };
        assert_eq!(judge(reading(-1_900, 10)), State::Ok);
        assert_eq!(judge(reading(2_500, 1_200)), State::Ok);
        assert_eq!(judge(reading(-2_500, 10)), State::Warning);
        assert_eq!(judge(reading(31_000, 10)), State::Wrong);
    }
}
