//! Asks handlers whether they accept the parameters that a change binds them with.
//!
//! A component is compiled once for all that it is asked in one change, and two components at a time.

use std::collections::{BTreeMap, BTreeSet};

use floodgate_api::document::HandlerDocument;
use floodgate_event::source::HandlerLimits;
use floodgate_event::{Digest256, Name};
use futures::{StreamExt as _, stream};

use crate::checker::{CHECKS_AT_ONCE, CheckError, Cost, Question};
use crate::components::Components;
use crate::configuration::{Configuration, Version};
use crate::{BindingError, Control, region_snapshot};

/// Parameters, as a handler gets them.
type Params = serde_json::Map<String, serde_json::Value>;

/// A version of a handler as a source binds it.
struct Binding<'a> {
    source: &'a Name,
    handler: &'a Name,
    version: &'a Version,
    params: &'a Params,
    limits: &'a HandlerLimits,
}

impl Control {
    /// Asks every component that `after` binds with parameters that `before` does not bind it with.
    pub(super) async fn check_parameters(
        &self,
        before: &Configuration,
        after: &Configuration,
    ) -> Result<(), BindingError> {
        let mut accepted: BTreeSet<_> = bindings(before).iter().map(Binding::key).collect();
        let batches = batches(bindings(after).into_iter().filter(|binding| accepted.insert(binding.key())));
        let asks: Vec<_> = batches.iter().map(|batch| self.ask(&batch.bindings)).collect();
        // In order, so that the same change is refused for the same reason each time.
        let mut answers = stream::iter(asks).buffered(CHECKS_AT_ONCE);
        while let Some(answer) = answers.next().await {
            answer?;
        }
        Ok(())
    }

    /// Asks one component about all bindings of a batch.
    async fn ask(&self, batch: &[Binding<'_>]) -> Result<(), BindingError> {
        let Some(first) = batch.first() else { return Ok(()) };
        let component = Components::open(&self.0.centre).await?.get(first.version.digest).await?;
        let asked: Vec<_> = batch.iter().map(Binding::question).collect();
        match self.0.checker.check_params(component.clone(), &asked).await {
            Err((_, fault)) if batch.len() > 1 && fault.has_no_answer() => {
                // One of the bindings made the check fail, and nothing says which.
                for binding in batch {
                    let alone = self.0.checker.check_params(component.clone(), &[binding.question()]).await;
                    alone.map_err(|(_, fault)| binding.refused(fault))?;
                }
                Ok(())
            }
            Err((at, fault)) => Err(batch.get(at).unwrap_or(first).refused(fault)),
            Ok(()) => Ok(()),
        }
    }
}

/// The bindings of one component that one check asks about.
struct Batch<'a> {
    bindings: Vec<Binding<'a>>,
    cost: Cost,
}

/// Groups bindings by component, as many as one check may be asked about.
fn batches<'a>(bindings: impl Iterator<Item = Binding<'a>>) -> Vec<Batch<'a>> {
    let mut batches: Vec<Batch<'a>> = Vec::new();
    // The index of each component's last batch.
    let mut last = BTreeMap::new();
    for binding in bindings {
        let at = last.entry(binding.version.digest).or_insert(usize::MAX);
        let cost = binding.question().cost();
        match batches.get_mut(*at).and_then(|batch| Some((batch.cost.and(cost)?, batch))) {
            Some((both, batch)) => {
                batch.cost = both;
                batch.bindings.push(binding);
            }
            None => {
                *at = batches.len();
                batches.push(Batch { bindings: vec![binding], cost });
            }
        }
    }
    batches
}

impl Binding<'_> {
    fn question(&self) -> Question<'_> {
        Question { params: self.params, limits: self.limits }
    }

    fn refused(&self, fault: CheckError) -> BindingError {
        BindingError::Parameters {
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

fn bindings(configuration: &Configuration) -> Vec<Binding<'_>> {
    let bound = configuration.sources.iter().flat_map(|(source, stored)| {
        stored.handlers.iter().flat_map(move |bound| {
            let versions = versions(configuration, bound);
            let HandlerDocument { name: handler, params, limits, .. } = bound;
            versions.map(move |version| Binding { source, handler, version, params, limits })
        })
    });
    bound.collect()
}

/// The version that a binding runs, and the one that is tried on the same events.
fn versions<'a>(
    configuration: &'a Configuration,
    bound: &HandlerDocument,
) -> impl Iterator<Item = &'a Version> + use<'a> {
    let tried = region_snapshot::trial_of(configuration, bound).map(|(version, _)| version);
    region_snapshot::bound_version(configuration, bound).into_iter().chain(tried)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One binding for each letter, which names its component, with so much time for the handler.
    fn batched(components: &str, deadline_ms: u32) -> Vec<usize> {
        let name: Name = "a".parse().unwrap();
        let (params, limits) =
            (Params::new(), HandlerLimits { deadline_ms: Some(deadline_ms), ..Default::default() });
        let version =
            |letter: u8| Version { version: 1, digest: Digest256::of(&[letter]), size: 1, created_at_us: 0 };
        let versions: Vec<_> = components.bytes().map(version).collect();
        let bindings = versions.iter().map(|version| Binding {
            source: &name,
            handler: &name,
            version,
            params: &params,
            limits: &limits,
        });
        batches(bindings).iter().map(|batch| batch.bindings.len()).collect()
    }

    #[test]
    fn a_component_is_compiled_once_for_all_that_it_is_asked() {
        assert_eq!(batched("aabacb", 50), [3, 2, 1]);
        assert_eq!(batched(&"a".repeat(1_000), 50), [1_000]);
        assert_eq!(batched(&"a".repeat(13), 10_000), [6, 6, 1], "a check has its bounds");
        assert_eq!(batched("", 50), Vec::<usize>::new());
    }
}
