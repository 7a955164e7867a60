//! Creates the centre's streams and buckets at the start.

use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_event::causes::chain;
use floodgate_stream::Contract;
use floodgate_stream::central::{self, DeploymentError};
use floodgate_stream::provision::{self, ProvisionError};
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// The pause before a centre that did not answer is asked again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Waits for the centre, and creates what the deployment lacks there. A stream that was recorded and is gone
/// is not created again: it is lost, and its shard waits.
///
/// # Errors
/// If the deployment has another number of shards, or nobody knows which streams it is made of.
pub(crate) async fn provision_centre(
    context: &Context,
    config: &Config,
    shutdown: &CancellationToken,
) -> Result<(), DeploymentError> {
    loop {
        let failed = match try_provision(context, config).await {
            Ok(()) => return Ok(()),
            Err(ProvisionFailure::Deployment(error)) if !error.is_transient() => return Err(error),
            Err(failed) => failed,
        };
        tracing::warn!(error = %chain(&failed), "cannot provision the centre yet");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(RETRY_PAUSE) => {}
        }
    }
}

async fn try_provision(context: &Context, config: &Config) -> Result<(), ProvisionFailure> {
    provision::centre_buckets(context, config.centre).await?;
    let deployment = central::open(context, config.shards).await?;
    for contract in Contract::central(config.shards) {
        let is_known = deployment.streams.get(contract.name()).is_some_and(|noted| noted.made.is_some());
        if is_known {
            provision::update_central_stream(context, &contract, config.centre).await?;
        } else {
            provision::central_stream(context, &contract, config.centre).await?;
        }
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum ProvisionFailure {
    #[error(transparent)]
    Stream(#[from] ProvisionError),
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
}
