//! Takes the events of own applications: one for each request to a source's path, and one or a batch for each
//! request to [`PATH`].

use std::time::Duration;

use floodgate_batch::{BadEvent, Wrong};
use floodgate_enqueue::Enqueued;
use floodgate_ingress::Outcome;
use floodgate_listen::AnswerBody;
use futures::stream::{self, StreamExt as _};
use http::{Method, Response};
use tokio::time::Instant;

use super::super::served::{Served, Source};
use super::Ingest;
use crate::accept::answer::batch::Missed;
use crate::accept::refusal::Unavailable;
use crate::accept::{Received, Refusal, Refused, answer, path};
use crate::stage::Verified;
use crate::verify::batch::Batch;

/// Where own applications send events. The token alone finds the source.
pub(super) const PATH: &str = "/v1/events";
/// The methods of that path.
const ALLOWED: &str = "POST, OPTIONS";

/// Events of a batch whose handlers have not ended by this time after its arrival are refused. Otherwise slow
/// handlers would hold the request and its memory for the time of a thousand events.
const MOST_TIME: Duration = Duration::from_secs(30);

/// Returns true if a request sends events to [`PATH`].
pub(super) fn are_sent(method: &Method, path: &str) -> bool {
    path == PATH && *method == Method::POST
}

/// Answers a request to [`PATH`] by another method than POST. Returns `None` for other paths.
pub(super) fn ask(method: &Method, path: &str) -> Option<Result<Response<AnswerBody>, Refusal>> {
    (path == PATH).then(|| match *method {
        Method::OPTIONS => Ok(answer::options(ALLOWED)),
        _ => Err(Refusal::MethodNotAllowed { allow: ALLOWED }),
    })
}

impl Ingest {
    /// Takes a request of an own application through the stages that follow its arrival.
    pub(super) async fn take_events(
        &self,
        served: &Served,
        source: &Source,
        received: Received,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let takes_batches = path::normal(received.parts().uri.path()) == PATH;
        let batch = source.verifier.batch(received)?;
        source.used(batch.shared());
        if batch.is_batch() && !takes_batches {
            return Err(Refusal::BadEvent(BadEvent { index: None, wrong: Wrong::NotOne }));
        }
        if batch.is_batch() {
            if let Some(limiter) = &source.limiter {
                limiter.take_for(batch.len())?;
            }
            let mut response = self.take_batch(served, source, batch).await;
            let code = if response.status().is_success() { "accepted" } else { "unavailable" };
            self.tell(&mut response, || Outcome::of(code, &source.name, None));
            return Ok(response);
        }
        let verified = source.verifier.only(batch);
        self.take_one(served, source, verified).await
    }

    /// Takes the events of a batch, several at once, so that they share blocks. They are put into their
    /// queues in order, unless handlers take longer over some.
    async fn take_batch(&self, served: &Served, source: &Source, mut batch: Batch) -> Response<AnswerBody> {
        let (at_once, peer, until) = (batch.at_once(), batch.peer(), Instant::now() + MOST_TIME);
        let events = stream::iter(0..batch.len()).map(|index| {
            let (id, verified) = source.verifier.one_of(&mut batch, index);
            async move {
                let taken = match verified {
                    Ok(verified) => self.make_one_durable(served, source, verified, until).await,
                    Err(exhausted) => Err(exhausted.into()),
                };
                match taken {
                    Ok(mut enqueued) => {
                        enqueued.shorten_answer();
                        Ok(enqueued)
                    }
                    Err(refusal) => {
                        let refused = Refused::from(refusal);
                        self.note(&refused, Some(source), peer);
                        Err(Missed { id, refusal: refused.refusal })
                    }
                }
            }
        });
        let taken = events.buffered(at_once).collect().await;
        answer::batch::of(taken, source.verifier.intake().status, batch.into_memory())
    }

    async fn make_one_durable(
        &self,
        served: &Served,
        source: &Source,
        verified: Verified,
        until: Instant,
    ) -> Result<Enqueued, Refusal> {
        if Instant::now() >= until {
            return Err(Unavailable::Late.into());
        }
        self.state.shedder().check(verified.lane())?;
        self.make_durable(served, source, verified, Some(until)).await
    }
}
