//! Answers the relay's requests on a subject of the region's NATS, a few at once.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Message, SubscribeError};
use bytes::Bytes;
use floodgate_event::subject;
use floodgate_stream::Connection;
use futures::StreamExt as _;
use tokio::sync::Semaphore;
use tracing::warn;

/// The pause before subscribing again.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers requests of one kind.
pub(super) trait Answers: Send + Sync + 'static {
    /// The subject of the requests. Each reaches one of the region's gateways.
    const SUBJECT: &'static str;
    /// The most requests that are answered at once: few compared with those of senders.
    const SLOTS: usize;

    /// Answers a request.
    fn answer(&self, payload: Bytes) -> impl Future<Output = Vec<u8>> + Send;
}

/// Answers for ever, through lost connections.
pub(super) async fn run<A: Answers>(nats: Connection, answers: Arc<A>) {
    let slots = Arc::new(Semaphore::new(A::SLOTS));
    loop {
        if let Err(error) = serve(nats.client(), &answers, &slots).await {
            warn!(subject = A::SUBJECT, %error, "cannot take requests of the relay");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn serve<A: Answers>(
    client: &Client,
    answers: &Arc<A>,
    slots: &Arc<Semaphore>,
) -> Result<(), SubscribeError> {
    let group = subject::REPLAY_GROUP.to_owned();
    let mut requests = client.queue_subscribe(A::SUBJECT, group).await?;
    while let Some(request) = requests.next().await {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else { break };
        let (answers, client) = (Arc::clone(answers), client.clone());
        tokio::spawn(async move {
            answer(&client, &*answers, request).await;
            drop(slot);
        });
    }
    Ok(())
}

async fn answer<A: Answers>(client: &Client, answers: &A, request: Message) {
    let Some(reply) = request.reply else { return };
    let answer = answers.answer(request.payload).await;
    if let Err(error) = client.publish(reply, answer.into()).await {
        // If the answer is lost, the relay asks again, and a second copy of an event is a duplicate.
        warn!(subject = A::SUBJECT, %error, "an answer to the relay was not sent");
    }
}
