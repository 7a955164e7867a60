//! Consumers that live as long as their reader. A stream takes 1,000 consumers by default, and one that is
//! left behind counts until the server deletes it.

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::stream::ConsumerErrorKind;
use tokio::runtime::Handle;
use ulid::Ulid;

/// A consumer that is deleted when this is dropped. If the request does not reach the server, the consumer
/// ends by its `inactive_threshold`.
pub struct TemporaryConsumer {
    context: Context,
    stream: String,
    name: String,
}

impl TemporaryConsumer {
    /// Creates a consumer under a unique name, so that it can be deleted even if the answer to the request is
    /// lost.
    ///
    /// # Errors
    /// If the server refuses the consumer or does not answer.
    pub async fn create(
        context: &Context,
        stream: &str,
        config: pull::Config,
    ) -> Result<(Self, Consumer<pull::Config>), async_nats::Error> {
        let name = format!("reader_{}", Ulid::generate());
        let config = pull::Config { name: Some(name.clone()), ..config };
        match context.create_consumer_on_stream(config, stream).await {
            Ok(consumer) => {
                let (context, stream) = (context.clone(), stream.to_owned());
                Ok((Self { context, stream, name }, consumer))
            }
            Err(error) => {
                if error.kind() == ConsumerErrorKind::TimedOut {
                    let (context, stream) = (context.clone(), stream.to_owned());
                    drop(Self { context, stream, name });
                }
                Err(error.into())
            }
        }
    }
}

impl Drop for TemporaryConsumer {
    fn drop(&mut self) {
        // Without a runtime the process is about to end, and the server deletes the consumer by itself.
        let Ok(runtime) = Handle::try_current() else { return };
        let (context, stream) = (self.context.clone(), std::mem::take(&mut self.stream));
        let name = std::mem::take(&mut self.name);
        runtime.spawn(async move {
            if let Err(error) = context.delete_consumer_from_stream(&name, &stream).await {
                tracing::debug!(stream, name, %error, "a reader's consumer was not deleted");
            }
        });
    }
}
