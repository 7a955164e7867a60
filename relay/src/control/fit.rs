//! Asks handlers whether they can use the parameters that a change binds them with.

use std::collections::{BTreeMap, BTreeSet};

use floodgate_event::Name;
use floodgate_event::snapshot::Digest256;
use floodgate_event::source::HandlerLimits;

use super::checker::CheckError;
use super::components::{ComponentError, Components};
use super::configuration::{Configuration, Version};
use super::document::HandlerDocument;
use super::{ChangeError, Control, regional};

/// Parameters, as a handler gets them.
type Params = serde_json::Map<String, serde_json::Value>;

/// A component and parameters that it is bound with for the first time.
struct Pair<'a> {
    source: &'a Name,
    handler: &'a Name,
    version: &'a Version,
    params: &'a Params,
    limits: &'a HandlerLimits,
}

impl Control {
    /// Asks every component that `after` binds with parameters that `before` does not bind it with.
    pub(super) async fn check_fit(
        &self,
        before: &Configuration,
        after: &Configuration,
    ) -> Result<(), FitError> {
        let mut known: BTreeSet<_> = pairs(before).iter().map(Pair::key).collect();
        let mut components = BTreeMap::new();
        for pair in pairs(after) {
            if known.insert(pair.key()) {
                self.ask(&pair, &mut components).await?;
            }
        }
        Ok(())
    }

    async fn ask(
        &self,
        pair: &Pair<'_>,
        components: &mut BTreeMap<Digest256, bytes::Bytes>,
    ) -> Result<(), FitError> {
        let digest = pair.version.digest;
        let component = match components.get(&digest) {
            Some(component) => component.clone(),
            None => {
                let component = Components::open(&self.0.centre).await?.get(digest).await?;
                components.insert(digest, component.clone());
                component
            }
        };
        self.0.checker.check_params(component, pair.params, pair.limits).await.map_err(|fault| {
            FitError::Params {
                source_name: pair.source.clone(),
                handler: pair.handler.clone(),
                version: pair.version.version,
                fault,
            }
        })
    }
}

impl Pair<'_> {
    fn key(&self) -> (Digest256, String) {
        (self.version.digest, serde_json::json!([self.params, self.limits]).to_string())
    }
}

fn pairs(configuration: &Configuration) -> Vec<Pair<'_>> {
    let bound = configuration.sources.iter().flat_map(|(source, stored)| {
        stored.handlers.iter().flat_map(move |bound| {
            let versions = versions(configuration, bound);
            let HandlerDocument { name: handler, params, limits, .. } = bound;
            versions.map(move |version| Pair { source, handler, version, params, limits })
        })
    });
    bound.collect()
}

/// The version that a binding runs, and the one that is tried there.
fn versions<'a>(
    configuration: &'a Configuration,
    bound: &HandlerDocument,
) -> impl Iterator<Item = &'a Version> + use<'a> {
    let tried = regional::tried(configuration, bound).map(|(version, _)| version);
    regional::resolve(configuration, bound).into_iter().chain(tried)
}

/// Why a binding is not made.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// The handler cannot use its parameters, or could not say.
    #[error("source `{source_name}`, handler `{handler}` version {version}: {fault}")]
    Params {
        /// The source that binds it.
        source_name: Name,
        /// The handler.
        handler: Name,
        /// The version that it would run.
        version: u32,
        /// Why not.
        #[source]
        fault: CheckError,
    },
    /// The component could not be read.
    #[error(transparent)]
    Component(#[from] ComponentError),
}

impl From<FitError> for ChangeError {
    fn from(error: FitError) -> Self {
        Self::Fit(Box::new(error))
    }
}
