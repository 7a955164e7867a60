//! This host's clock beside a NATS server's, which puts its own time into what it says of a stream; and how
//! long the way there and back takes.

use std::time::{Duration, Instant};

use async_nats::Client;
use serde::Deserialize;
use time::OffsetDateTime;

use super::finding::{Advice, Findings, State};
use super::server;

/// Questions, of which the quickest counts.
const TRIES: u32 = 3;
/// Off by so much it is time to act, and late. The providers' own clocks add to it, and a signature's time
/// may be off by 300 s unless a source says otherwise.
const WARN: Duration = Duration::from_secs(2);
const WRONG: Duration = Duration::from_secs(30);
/// A way there and back that replication feels.
const SLOW: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Answer {
    #[serde(with = "time::serde::rfc3339")]
    ts: OffsetDateTime,
}

/// One question, and what its answer tells.
#[derive(Clone, Copy, Debug)]
struct Look {
    took: Duration,
    /// The server's clock less this host's, exact to half of `took`.
    offset: time::Duration,
}

/// Checks both, by asking about a stream that is there.
pub(super) async fn check(label: &str, client: &Client, stream: &str, findings: &mut Findings) {
    let mut best: Option<Look> = None;
    for _ in 0..TRIES {
        let look = look(client, stream).await;
        best = best.into_iter().chain(look).min_by_key(|look| look.took);
    }
    let Some(best) = best else {
        return findings.unknown("clock", label, "no answer with a time in it", "look at the server");
    };
    findings.judged(
        if best.took < SLOW { State::Well } else { State::Warning },
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
    findings.judged(judge(best), "clock", label, shown(best), advice);
}

async fn look(client: &Client, stream: &str) -> Option<Look> {
    let (asked_at, asked) = (OffsetDateTime::now_utc(), Instant::now());
    let answer: Answer = server::ask(client, format!("$JS.API.STREAM.INFO.{stream}")).await.ok()?;
    let took = asked.elapsed();
    Some(Look { took, offset: answer.ts - (asked_at + took / 2) })
}

/// What may only come of the way's length is not held against the clock.
fn judge(look: Look) -> State {
    let off = look.offset.unsigned_abs().saturating_sub(look.took / 2);
    if off >= WRONG {
        State::Wrong
    } else if off >= WARN {
        State::Warning
    } else {
        State::Well
    }
}

fn shown(look: Look) -> String {
    let (offset, within) = (look.offset.as_seconds_f64(), look.took.as_secs_f64() / 2.0);
    format!("{offset:+.3} s from this host's, within {within:.3} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_way_is_no_wrong_clock() {
        let look = |offset: i64, took: u64| Look {
            took: Duration::from_millis(took),
            offset: time::Duration::milliseconds(offset),
        };
        assert_eq!(judge(look(-1_900, 10)), State::Well);
        assert_eq!(judge(look(2_500, 1_200)), State::Well);
        assert_eq!(judge(look(-2_500, 10)), State::Warning);
        assert_eq!(judge(look(31_000, 10)), State::Wrong);
    }
}
