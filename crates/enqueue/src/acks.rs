//! Receives publish acks on one subscription. The client's own multiplexer keeps an entry for each request
//! without an answer. Here the entry is removed when the request is dropped.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::{Client, Message, SubscribeError};
use futures::StreamExt as _;
use tokio::sync::oneshot;

type Waiting = HashMap<u64, oneshot::Sender<Message>>;

/// Gives out reply subjects and delivers the messages that arrive on them.
#[derive(Clone, Debug)]
pub(super) struct Acks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    prefix: String,
    next: AtomicU64,
    waiting: Mutex<Waiting>,
}

impl Acks {
    /// Subscribes. The client subscribes again whenever it reconnects. The subscription ends with the last
    /// clone.
    pub(super) async fn listen(client: &Client) -> Result<Self, SubscribeError> {
        let prefix = format!("{}.", client.new_inbox());
        let mut messages = client.subscribe(format!("{prefix}*")).await?;
        let acks = Self(Arc::new(Inner { prefix, next: AtomicU64::new(0), waiting: Mutex::default() }));
        let inner = Arc::downgrade(&acks.0);
        tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                let Some(inner) = inner.upgrade() else { break };
                inner.settle(message);
            }
        });
        Ok(acks)
    }

    /// A new reply subject for one message.
    pub(super) fn expect(&self) -> Expected {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.0.waiting().insert(number, sender);
        Expected { acks: Arc::clone(&self.0), number, receiver }
    }
}

impl Inner {
    fn settle(&self, message: Message) {
        let number = message.subject.strip_prefix(&self.prefix).and_then(|number| number.parse().ok());
        let sender = number.and_then(|number: u64| self.waiting().remove(&number));
        if let Some(sender) = sender {
            // Fails only if the receiver has given the block up.
            let _ = sender.send(message);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it holds the lock, and a map is whole at any time.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An expected ack. Dropping it removes its entry.
pub(super) struct Expected {
    acks: Arc<Inner>,
    number: u64,
    receiver: oneshot::Receiver<Message>,
}

impl Expected {
    pub(super) fn subject(&self) -> String {
        format!("{}{}", self.acks.prefix, self.number)
    }

    /// Waits for the ack. None if the subscription has ended.
    pub(super) async fn message(mut self) -> Option<Message> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.acks.waiting().remove(&self.number);
    }
}
