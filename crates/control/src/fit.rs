//! Asks handlers whether they can use the parameters that a change binds them with.

use std::collections::{BTreeMap, BTreeSet};

use floodgate_api::document::HandlerDocument;
use floodgate_event::Name;
use floodgate_event::snapshot::Digest256;
use floodgate_event::source::HandlerLimits;
use futures::{StreamExt as _, stream};

use super::checker::{Asked, CHECKS_AT_ONCE, CheckError, Cost};
use super::components::{ComponentError, Components};
use super::configuration::{Configuration, Version};
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
    /// Asks every component that `after` binds with parameters that `before` does not bind it with: each
    /// component once about all of them, as it is compiled for that, and several components at a time.
    pub(super) async fn check_fit(
        &self,
        before: &Configuration,
        after: &Configuration,
    ) -> Result<(), FitError> {
        let mut known: BTreeSet<_> = pairs(before).iter().map(Pair::key).collect();
        let batches = batches(pairs(after).into_iter().filter(|pair| known.insert(pair.key())));
        let asks: Vec<_> = batches.iter().map(|batch| self.ask(&batch.pairs)).collect();
        // In their order, so that the same change is refused for the same reason each time.
        let mut answers = stream::iter(asks).buffered(CHECKS_AT_ONCE);
        while let Some(answer) = answers.next().await {
            answer?;
        }
        Ok(())
    }

    /// Asks one component about all of a batch.
    async fn ask(&self, batch: &[Pair<'_>]) -> Result<(), FitError> {
        let Some(first) = batch.first() else { return Ok(()) };
        let component = Components::open(&self.0.centre).await?.get(first.version.digest).await?;
        let asked: Vec<_> = batch.iter().map(Pair::asked).collect();
        match self.0.checker.check_params(component.clone(), &asked).await {
            Err((_, fault)) if batch.len() > 1 && fault.is_without_answer() => {
                // One of them is to blame, and nothing says which.
                for pair in batch {
                    let alone = self.0.checker.check_params(component.clone(), &[pair.asked()]).await;
                    alone.map_err(|(_, fault)| pair.refused(fault))?;
                }
                Ok(())
            }
            Err((at, fault)) => Err(batch.get(at).unwrap_or(first).refused(fault)),
            Ok(()) => Ok(()),
        }
    }
}

/// What one check of a component is asked about.
struct Batch<'a> {
    pairs: Vec<Pair<'a>>,
    cost: Cost,
}

/// Those of one component together, as many as one check may be asked about.
fn batches<'a>(pairs: impl Iterator<Item = Pair<'a>>) -> Vec<Batch<'a>> {
    let mut batches: Vec<Batch<'a>> = Vec::new();
    // Where each component's last batch is.
    let mut last = BTreeMap::new();
    for pair in pairs {
        let at = last.entry(pair.version.digest).or_insert(usize::MAX);
        let cost = pair.asked().cost();
        match batches.get_mut(*at).and_then(|batch| Some((batch.cost.and(cost)?, batch))) {
            Some((both, batch)) => {
                batch.cost = both;
                batch.pairs.push(pair);
            }
            None => {
                *at = batches.len();
                batches.push(Batch { pairs: vec![pair], cost });
            }
        }
    }
    batches
}

impl Pair<'_> {
    fn asked(&self) -> Asked<'_> {
        Asked { params: self.params, limits: self.limits }
    }

    fn refused(&self, fault: CheckError) -> FitError {
        FitError::Params {
            source_name: self.source.clone(),
            handler: self.handler.clone(),
            version: self.version.version,
            fault,
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    /// One pair for each letter, which names its component, with so much time for the handler.
    fn batched(components: &str, deadline_ms: u32) -> Vec<usize> {
        let name: Name = "a".parse().unwrap();
        let (params, limits) =
            (Params::new(), HandlerLimits { deadline_ms: Some(deadline_ms), ..Default::default() });
        let version =
            |letter: u8| Version { version: 1, digest: Digest256::of(&[letter]), size: 1, created_at_us: 0 };
        let versions: Vec<_> = components.bytes().map(version).collect();
        let pairs = versions.iter().map(|version| Pair {
            source: &name,
            handler: &name,
            version,
            params: &params,
            limits: &limits,
        });
        batches(pairs).iter().map(|batch| batch.pairs.len()).collect()
    }

    #[test]
    fn a_component_is_compiled_once_for_all_that_it_is_asked() {
        assert_eq!(batched("aabacb", 50), [3, 2, 1]);
        assert_eq!(batched(&"a".repeat(1_000), 50), [1_000]);
        assert_eq!(batched(&"a".repeat(13), 10_000), [6, 6, 1], "a check has its bounds");
        assert_eq!(batched("", 50), Vec::<usize>::new());
    }
}
