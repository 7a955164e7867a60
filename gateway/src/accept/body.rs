//! Reads a body within its bounds: bytes, time, and the memory of the process.

use std::time::SystemTime;

use bytes::Bytes;
use floodgate_listen::{RequestContext, Reservation};
use http::request::Parts;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::arriving::Arriving;
use super::content_coding::Coding;
use super::pace::{Pace, Pauses, SHORT_PAUSE};
use super::{Received, Refusal, Refused};

/// The least size of the buffer of a body that arrives in several pieces.
const LEAST_ROOM: usize = 1024;

/// The bounds of one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The most bytes, as sent and after decoding.
    pub(crate) bytes: usize,
    /// The most time, in all and between two pieces.
    pub(crate) pauses: Pauses,
}

/// Reads a request to its end. It reserves memory for bytes that arrive and not for bytes that are announced,
/// so that an announcement takes no memory from others.
pub(crate) async fn receive(
    parts: Parts,
    body: &mut Arriving,
    context: RequestContext,
    bounds: Bounds,
) -> Result<Received, Refused> {
    let RequestContext { peer, client, memory } = context;
    let (coding, memory) = match (Coding::of(&parts.headers), memory) {
        (Ok(coding), Ok(memory)) => (coding, memory),
        (Err(refusal), _) => return Err(Refused::unread(refusal, parts)),
        (Ok(_), Err(exhausted)) => return Err(Refused::unread(exhausted.into(), parts)),
    };
    let mut incoming = Reading::new(body, memory, bounds.pauses);
    let collected = incoming.collect(bounds.bytes).await;
    let memory = incoming.memory;
    if collected == Err(Refusal::TimedOut) {
        body.give_up();
    }
    match collected {
        Ok(raw) => {
            let (limit, at) = (bounds.bytes, SystemTime::now());
            Ok(Received { parts, raw, coding, limit, peer, client, at, copy_of: None, memory })
        }
        Err(refusal) => Err(Refused::unread(refusal, parts)),
    }
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

    /// Copies the pieces into one growing buffer, because each piece may keep a larger buffer alive.
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

    /// The next piece of data, if it arrives in time. Trailers are skipped.
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use floodgate_listen::{Budget, Shares};
    use futures::{Stream, StreamExt as _, stream};
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;
    use crate::accept::refusal::Unavailable;

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

    proptest::proptest! {
        /// However a body comes in pieces, it is whole, within its limit, and counted.
        #[test]
        fn pieces_make_the_body(
            pieces in proptest::collection::vec(proptest::collection::vec(0..=u8::MAX, 0..3_000), 0..8),
            limit in 0..12_000_usize,
            total in 0..40_000_usize,
        ) {
            let whole = pieces.concat();
            let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece))));
            let budget = Budget::unshared(total);
            let mut body = StreamBody::new(stream::iter(frames.collect::<Vec<_>>()));
            let Ok(memory) = budget.account(Ipv4Addr::LOCALHOST.into()).reserve(0) else { return Ok(()) };
            let mut reading = Reading::new(&mut body, memory, PAUSES);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let result = runtime.block_on(reading.collect(limit));
            let counted = reading.memory.bytes();
            proptest::prop_assert!(counted <= total);
            match result {
                Ok(bytes) => proptest::prop_assert!(bytes == whole && whole.len() <= limit.min(counted)),
                Err(Refusal::TooLarge { limit: told }) => {
                    proptest::prop_assert!(told == limit && whole.len() > limit);
                }
                Err(refusal) => {
                    proptest::prop_assert_eq!(refusal, Refusal::Unavailable(Unavailable::Memory));
                    proptest::prop_assert!(total < 3 * whole.len() + LEAST_ROOM);
                }
            }
            drop(reading);
            proptest::prop_assert_eq!(budget.used(), 0);
        }
    }
}
