//! Warnings in the answer to a change: what is allowed, and probably not meant.

use std::time::Duration;

use floodgate_api::answer::Warning;
use floodgate_egress::SsrfGuard;
use floodgate_event::Name;
use reqwest::dns::Resolve as _;
use tokio::time::timeout;
use url::{Host, Url};

use super::Control;
use super::configuration::Configuration;

/// A destination's host name that takes longer to resolve gets a warning.
const RESOLVE_WITHIN: Duration = Duration::from_secs(2);

impl Control {
    /// The warnings about a destination of this configuration: an address that deliveries refuse, a host name
    /// that does not resolve within 2 s, and subscriptions to sources that do not exist.
    pub async fn warn_of_destination(&self, after: &Configuration, name: &Name) -> Vec<Warning> {
        let Some(stored) = after.destinations.get(name) else { return Vec::new() };
        let mut warnings: Vec<_> =
            reachable(&self.0.guard, &stored.delivery.url).await.err().into_iter().collect();
        let sources = stored.delivery.subscribe.sources.iter().enumerate();
        let unknown = sources.filter(|(_, source)| !after.sources.contains_key(*source));
        warnings.extend(unknown.map(|(index, source)| {
            Warning::new(format!("subscribe.sources[{index}]"), format!("there is no source `{source}`"))
        }));
        warnings
    }
}

/// The warnings about a source of this configuration: that no destination subscribes to it.
pub fn of_source(after: &Configuration, name: &Name) -> Vec<Warning> {
    let mut subscriptions =
        after.destinations.values().map(|destination| &destination.delivery.subscribe.sources);
    match subscriptions.any(|sources| sources.is_empty() || sources.contains(name)) {
        true => Vec::new(),
        false => vec![Warning::new("", "no destination subscribes to this source: its events go to nobody")],
    }
}

/// Checks that deliveries may connect to a URL's address.
async fn reachable(guard: &SsrfGuard, url: &Url) -> Result<(), Warning> {
    let refused = |error: &floodgate_egress::Refused| {
        Warning::new("url", format!("{error}: deliveries will be refused"))
    };
    guard.check_literal(url).map_err(|error| refused(&error))?;
    let Some(Host::Domain(host)) = url.host() else { return Ok(()) };
    let unresolved = || Warning::new("url", format!("`{host}` cannot be resolved now"));
    let name = host.parse().map_err(|_| unresolved())?;
    match timeout(RESOLVE_WITHIN, guard.resolve(name)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.downcast_ref().map_or_else(unresolved, refused)),
        Err(_) => Err(unresolved()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::vault::Vault;
    use super::*;
    use floodgate_api::document::{DestinationDocument, SourceDocument, read_json};

    async fn warns(guard: &SsrfGuard, url: &str) -> Option<String> {
        reachable(guard, &url.parse().unwrap()).await.err().map(|warning| warning.message)
    }

    #[tokio::test]
    async fn addresses_that_deliveries_refuse_are_told() {
        let closed = SsrfGuard::new(Vec::new());
        for url in ["http://10.1.2.3/", "http://[::1]:80/", "http://127.1/", "http://localhost/"] {
            let text = warns(&closed, url).await.unwrap_or_default();
            assert!(text.ends_with("deliveries will be refused"), "{url}: {text}");
        }
        let local = SsrfGuard::new(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        assert_eq!(warns(&local, "http://127.0.0.1:9/").await, None);
        assert_eq!(warns(&local, "http://localhost/").await, None);
        let text = warns(&closed, "http://no-such-host.invalid/").await.unwrap();
        assert_eq!(text, "`no-such-host.invalid` cannot be resolved now");
    }

    #[test]
    fn a_source_that_nobody_subscribes_to_is_told() {
        let vault = Vault::new(floodgate_event::seal::OpeningKey::generate(), crate::RegionKeys::default());
        let (mut configuration, shop): (_, Name) = (Configuration::default(), "shop".parse().unwrap());
        let source: SourceDocument =
            read_json(br#"{"verify": {"scheme": "github", "secrets": ["s"]}}"#).unwrap();
        configuration.put_source(&shop, &source, &vault).unwrap();
        assert_eq!(of_source(&configuration, &shop).len(), 1);
        for (sources, warnings) in [("[\"other\"]", 1), ("[\"other\", \"shop\"]", 0), ("[]", 0)] {
            let text = format!(
                r#"{{"url": "http://a/", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "subscribe": {{"sources": {sources}}}}}"#
            );
            let document: DestinationDocument = read_json(text.as_bytes()).unwrap();
            configuration.put_destination(&shop, &document, &vault).unwrap();
            assert_eq!(of_source(&configuration, &shop).len(), warnings, "{sources}");
        }
    }
}
