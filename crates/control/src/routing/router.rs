//! Makes routes of a configuration: its destinations, with their secrets opened.

use std::sync::Arc;
use std::time::Duration;

use floodgate_event::causes::chain;
use floodgate_event::seal::SealError;
use floodgate_event::{Name, standard_webhooks};
use floodgate_routes::{Destination, Routes};

use crate::configuration::{self, Configuration};
use crate::vault::{self, Vault};

/// What is wrong with a destination's stored secrets. Says nothing of them.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error("a secret cannot be opened with this centre's key")]
    Sealed(#[from] SealError),
    #[error("a secret cannot sign")]
    Unusable(#[from] standard_webhooks::InvalidKey),
}

/// Opens the destinations of each configuration, and keeps those that did not change: opening thousands takes
/// the better part of a second, and nothing is routed by a revision before all of it is open.
pub(crate) struct Router {
    vault: Arc<Vault>,
    configuration: Arc<Configuration>,
    routes: Arc<Routes>,
}

impl Router {
    pub(crate) fn new(vault: Arc<Vault>) -> Self {
        Self { vault, configuration: Arc::default(), routes: Arc::default() }
    }

    /// The routes of a configuration. A destination whose secrets cannot be opened is in them too, as held:
    /// without it nobody would get its events, and with the routes before it nothing else could change.
    pub(crate) fn routes(&mut self, configuration: Arc<Configuration>) -> Arc<Routes> {
        let destinations = configuration.destinations.iter();
        let opened = destinations.map(|(name, stored)| {
            let destination = self.unchanged(name, stored).unwrap_or_else(|| self.open(name, stored));
            (name.clone(), destination)
        });
        self.routes = Arc::new(Routes::new(configuration.revision, opened.collect()));
        self.configuration = configuration;
        Arc::clone(&self.routes)
    }

    fn unchanged(&self, name: &Name, stored: &configuration::Destination) -> Option<Arc<Destination>> {
        let before = self.configuration.destinations.get(name).filter(|before| *before == stored);
        before.and_then(|_| self.routes.destinations.get(name).cloned())
    }

    fn open(&self, name: &Name, stored: &configuration::Destination) -> Arc<Destination> {
        let (keys, held) = match keys(name, stored, &self.vault) {
            Ok(keys) => (keys, None),
            Err(error) => {
                let error = chain(&error);
                tracing::error!(
                    destination = %name,
                    error,
                    "its deliveries are held: put the destination again, with its secrets"
                );
                (Vec::new(), Some(error))
            }
        };
        Arc::new(destination(name, stored, keys, held))
    }
}

fn keys(
    name: &Name,
    stored: &configuration::Destination,
    vault: &Vault,
) -> Result<Vec<standard_webhooks::Key>, KeyError> {
    let owner = vault::destination(&stored.tenant, name);
    let key = |secret| Ok(standard_webhooks::Key::parse(&vault.open(secret, owner)?)?);
    stored.secrets.iter().map(key).collect()
}

fn destination(
    name: &Name,
    stored: &configuration::Destination,
    keys: Vec<standard_webhooks::Key>,
    secrets_error: Option<String>,
) -> Destination {
    let delivery = stored.delivery.clone();
    Destination {
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
        secrets_error,
        paused: delivery.paused,
        create_revision: stored.created,
        mod_revision: stored.put,
    }
}

#[cfg(test)]
mod tests {
    use floodgate_event::seal::OpeningKey;

    use super::*;
    use crate::RegionKeys;
    use floodgate_api::document::{DestinationDocument, read_json};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn document(path: &str) -> DestinationDocument {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        read_json(format!(r#"{{"url": "http://h/{path}", "secrets": ["{secret}"]}}"#).as_bytes()).unwrap()
    }

    fn put(configuration: &mut Configuration, at: &str, path: &str, vault: &Vault) {
        configuration.put_destination(&name(at), &document(path), vault).unwrap();
        configuration.revision += 1;
    }

    #[test]
    fn what_did_not_change_is_not_opened_again() {
        let vault = Arc::new(Vault::new(OpeningKey::generate(), RegionKeys::default()));
        let (mut router, mut configuration) = (Router::new(vault.clone()), Configuration::default());
        put(&mut configuration, "a", "1", &vault);
        put(&mut configuration, "b", "1", &vault);
        let first = router.routes(Arc::new(configuration.clone()));
        put(&mut configuration, "b", "2", &vault);
        let second = router.routes(Arc::new(configuration));
        assert_eq!((first.revision, second.revision), (2, 3));
        assert!(Arc::ptr_eq(&first.destinations["a"], &second.destinations["a"]));
        assert_eq!(second.destinations["b"].url.path(), "/2");
    }

    #[test]
    fn a_destination_that_cannot_be_opened_is_held_and_matched_and_stops_no_other() {
        let (old, new) = (OpeningKey::generate(), OpeningKey::generate());
        let (old, new) =
            (Vault::new(old, RegionKeys::default()), Arc::new(Vault::new(new, RegionKeys::default())));
        let mut configuration = Configuration::default();
        put(&mut configuration, "lost", "1", &old);
        put(&mut configuration, "fine", "1", &new);
        let mut router = Router::new(new.clone());
        let routes = router.routes(Arc::new(configuration.clone()));
        assert_eq!(routes.without_secrets().map(|held| held.name.as_str()).collect::<Vec<_>>(), ["lost"]);
        assert_eq!(routes.matching("any", "thing").count(), 2, "its events are matched, and wait");
        assert!(routes.destinations["fine"].secrets_error.is_none());

        put(&mut configuration, "lost", "1", &new);
        assert_eq!(
            router.routes(Arc::new(configuration)).without_secrets().count(),
            0,
            "its secrets were given again"
        );
    }
}
