//! What forwarding gets of the configuration: destinations with their secrets opened.

use std::sync::Arc;
use std::time::Duration;

use floodgate_event::seal::SealError;
use floodgate_event::{Name, standard_webhooks};

use super::configuration::{self, Configuration};
use super::vault::{self, Vault};
use crate::destination::{Destination, Routes};

/// Why a destination's secrets cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the secrets of destination `{destination}` cannot be used")]
pub struct RouteError {
    destination: Name,
    #[source]
    fault: KeyError,
}

/// What is wrong with a stored secret. Says nothing of the secret.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error(transparent)]
    Sealed(#[from] SealError),
    #[error(transparent)]
    Unusable(#[from] standard_webhooks::InvalidKey),
}

/// Opens every destination. One that cannot be opened fails the whole: routes without it would say that nobody
/// subscribed, and its events would be passed by.
pub(crate) fn routes(configuration: &Configuration, vault: &Vault) -> Result<Routes, RouteError> {
    let open = |(name, stored): (&Name, &configuration::Destination)| match destination(name, stored, vault) {
        Ok(destination) => Ok((name.clone(), Arc::new(destination))),
        Err(fault) => Err(RouteError { destination: name.clone(), fault }),
    };
    let destinations = configuration.destinations.iter().map(open).collect::<Result<_, _>>()?;
    Ok(Routes { revision: configuration.revision, destinations })
}

fn destination(
    name: &Name,
    stored: &configuration::Destination,
    vault: &Vault,
) -> Result<Destination, KeyError> {
    let owner = vault::destination(&stored.tenant, name);
    let key = |secret| Ok(standard_webhooks::Key::parse(&vault.open(secret, owner)?)?);
    let keys = stored.secrets.iter().map(key).collect::<Result<_, KeyError>>()?;
    let delivery = stored.delivery.clone();
    Ok(Destination {
        name: name.clone(),
        url: delivery.url,
        subscribe: delivery.subscribe,
        keys,
        timeout: Duration::from_secs(delivery.timeout_seconds.into()),
        concurrency: delivery.concurrency,
        rate_per_second: delivery.rate_per_second,
        retry: delivery.retry.schedule_seconds,
        original_headers: delivery.original_headers,
        enabled: delivery.enabled,
        paused: delivery.paused,
        created: stored.created,
        put: stored.put,
    })
}
