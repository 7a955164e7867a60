//! Reading a body within its bounds: bytes, time, and the memory of the process.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use floodgate_listen::{Account, Reservation, Visit};
use http::request::Parts;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout};

use super::arriving::Arriving;
use super::content_coding::Coding;
use super::refusal::Unavailable;
use super::{Received, Refusal};

/// Bytes that must come within [`Pauses::longest`].
const LEAST_PROGRESS: usize = 1024;
/// How long a body may bring less than [`LEAST_PROGRESS`] while memory is short;
/// and how often it is looked at.
const SHORT_PAUSE: Duration = Duration::from_millis(500);
/// Bytes that room is made for at least where a body does not come in one piece.
const LEAST_ROOM: usize = 1024;

/// Bounds of one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// In bytes, as sent and decoded.
    pub(crate) bytes: usize,
    /// In time.
    pub(crate) pauses: Pauses,
}

/// How long a body may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pauses {
    /// From the first byte to the last.
    pub(crate) whole: Duration,
    /// Until a kilobyte more is here.
    pub(crate) longest: Duration,
}

/// Reads a request to its end. Memory is taken for what arrives and not for what is announced, so that
/// announcing costs nobody else theirs.
pub(crate) async fn receive(
    parts: Parts,
    body: &mut Arriving,
    visit: Visit,
    bounds: Bounds,
) -> Result<Received, Refusal> {
    let coding = Coding::of(&parts.headers)?;
    let Visit { peer, memory } = visit;
    let mut incoming = Reading::new(body, memory?, bounds.pauses);
    let raw = incoming.collect(bounds.bytes).await?;
    let memory = incoming.memory;
    Ok(Received { parts, raw, coding, limit: bounds.bytes, peer, at: SystemTime::now(), memory })
}

/// A body that is being read.
struct Reading<'a, B> {
    body: &'a mut B,
    memory: Reservation,
    pace: Pace,
}

impl<'a, B: Body<Data = Bytes> + Unpin> Reading<'a, B> {
    fn new(body: &'a mut B, memory: Reservation, pauses: Pauses) -> Self {
        Self { body, memory, pace: Pace::new(pauses) }
    }

    async fn collect(&mut self, limit: usize) -> Result<Bytes, Refusal> {
        let announced =
            self.body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if announced.is_some_and(|announced| announced > limit) {
            return Err(Refusal::TooLarge { limit });
        }
        let first = self.next().await?.unwrap_or_default();
        self.memory.grow_by(first.len())?;
        if announced.is_none_or(|announced| announced == first.len()) && self.body.is_end_stream() {
            // The usual webhook arrives in one piece, which is passed on without a copy.
            return if first.len() > limit { Err(Refusal::TooLarge { limit }) } else { Ok(first) };
        }
        self.rest(first, announced, limit).await
    }

    /// Copies the pieces into one, which grows as they come: a piece may hold on to a larger buffer.
    async fn rest(&mut self, first: Bytes, announced: Option<usize>, limit: usize) -> Result<Bytes, Refusal> {
        let mut whole = Vec::new();
        let mut next = Some(first);
        while let Some(data) = next {
            let len = whole.len() + data.len();
            if len > limit {
                return Err(Refusal::TooLarge { limit });
            }
            if len > whole.capacity() {
                // Twice what is here, and no more than was announced.
                let room = LEAST_ROOM.max(2 * len).min(announced.unwrap_or(usize::MAX)).max(len);
                self.memory.grow_by(room - whole.capacity())?;
                // Exactly what was counted: `reserve` would take more.
                whole.reserve_exact(room - whole.len());
            }
            whole.extend_from_slice(&data);
            next = self.next().await?;
        }
        Ok(whole.into())
    }

    /// The next piece of data, if it comes soon enough; trailers are skipped.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let data = match timeout(SHORT_PAUSE, next_data(self.body)).await {
                Ok(data) => data?,
                Err(_) => {
                    self.pace.check(0, self.memory.account())?;
                    continue;
                }
            };
            if let Some(data) = &data {
                self.pace.check(data.len(), self.memory.account())?;
            }
            return Ok(data);
        }
    }
}

async fn next_data<B>(body: &mut B) -> Result<Option<Bytes>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::Malformed("the body did not arrive whole"))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Tells a body that comes slowly from one that is held back, be it by sending next to nothing.
struct Pace {
    pauses: Pauses,
    begun: Instant,
    /// Since when less than [`LEAST_PROGRESS`] came, and how much.
    since: Instant,
    bytes: usize,
}

impl Pace {
    fn new(pauses: Pauses) -> Self {
        let now = Instant::now();
        Self { pauses, begun: now, since: now, bytes: 0 }
    }

    fn check(&mut self, bytes: usize, account: &Account) -> Result<(), Refusal> {
        let now = Instant::now();
        self.bytes += bytes;
        if self.bytes >= LEAST_PROGRESS {
            (self.since, self.bytes) = (now, 0);
        }
        let pause = now - self.since;
        if now - self.begun >= self.pauses.whole || pause >= self.pauses.longest {
            Err(Refusal::TimedOut)
        } else if pause >= SHORT_PAUSE && account.is_short() {
            // Others could use what this one holds.
            Err(Refusal::Unavailable(Unavailable::Memory))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::Ipv4Addr;

    use floodgate_listen::{Budget, Shares};
    use futures::{Stream, StreamExt as _, stream};
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    const PAUSES: Pauses = Pauses { whole: Duration::from_secs(60), longest: Duration::from_secs(60) };

    /// A body in pieces, which never ends after `held_back` of them.
    fn pieces(sizes: &[usize], held_back: bool) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let frames: Vec<_> = sizes.iter().map(|size| Ok(Frame::data(vec![b'x'; *size].into()))).collect();
        let rest: std::pin::Pin<Box<dyn Stream<Item = _> + Send>> =
            if held_back { Box::pin(stream::pending()) } else { Box::pin(stream::empty()) };
        StreamBody::new(stream::iter(frames).chain(rest))
    }

    fn budget(total: usize) -> Budget {
        Budget::new(Shares { total, kept: total / 4, address: total, connection: total, small: 10_000 })
    }

    async fn read(
        mut body: impl Body<Data = Bytes> + Unpin,
        budget: &Budget,
        pauses: Pauses,
    ) -> (Result<usize, Refusal>, usize) {
        let memory = budget.account(Ipv4Addr::LOCALHOST.into()).reserve(100).unwrap();
        let mut reading = Reading::new(&mut body, memory, pauses);
        let read = reading.collect(1_000_000).await.map(|bytes| bytes.len());
        (read, reading.memory.bytes())
    }

    #[tokio::test]
    async fn memory_is_taken_for_what_arrives() {
        let budget = budget(4_000_000);
        let one = Full::new(Bytes::from_static(&[0; 3_000]));
        assert_eq!(read(one, &budget, PAUSES).await, (Ok(3_000), 3_100));
        let (read_in_pieces, taken) = read(pieces(&[10; 500], false), &budget, PAUSES).await;
        assert_eq!(read_in_pieces, Ok(5_000));
        assert!((5_100..12_000).contains(&taken), "{taken}");
        let many = read(pieces(&[100_000; 11], false), &budget, PAUSES).await.0;
        assert_eq!(many, Err(Refusal::TooLarge { limit: 1_000_000 }));
        assert_eq!(budget.used(), 0);
        let short = read(pieces(&[100_000; 9], false), &self::budget(200_000), PAUSES).await.0;
        assert_eq!(short, Err(Refusal::Unavailable(Unavailable::Memory)));
    }

    #[tokio::test]
    async fn a_body_that_is_held_back_ends_and_sooner_where_others_need_its_memory() {
        let budget = budget(100_000);
        let longest = SHORT_PAUSE + Duration::from_millis(100);
        let held = read(pieces(&[10, 10], true), &budget, Pauses { longest, ..PAUSES }).await.0;
        assert_eq!(held, Err(Refusal::TimedOut));
        let hoard = budget.own_account().reserve(80_000).unwrap();
        let held = read(pieces(&[10, 10], true), &budget, PAUSES).await.0;
        assert_eq!(held, Err(Refusal::Unavailable(Unavailable::Memory)));
        drop(hoard);
    }

    #[tokio::test]
    async fn sending_next_to_nothing_is_no_progress() {
        let account = budget(100_000).own_account();
        let pauses = Pauses { longest: Duration::ZERO, ..PAUSES };
        assert_eq!(Pace::new(PAUSES).check(1, &account), Ok(()));
        let mut pace = Pace::new(pauses);
        assert_eq!(pace.check(LEAST_PROGRESS - 1, &account), Err(Refusal::TimedOut));
        let whole = Pauses { whole: Duration::ZERO, ..PAUSES };
        assert_eq!(Pace::new(whole).check(LEAST_PROGRESS, &account), Err(Refusal::TimedOut));
    }
}
