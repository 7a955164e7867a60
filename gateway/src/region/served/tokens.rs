//! The bearer tokens of own applications, each of which finds its source.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use floodgate_event::snapshot::{self, Snapshot};
use floodgate_event::{Digest256, Name};
use floodgate_schemes::{Failure, bearer, presets};
use http::HeaderMap;

use super::{Refused, Source};
use crate::accept::Refusal;
use crate::accept::refusal::Unavailable;

/// The tokens of all sources, by their SHA-256: a comparison of hashes tells nobody how much of a token is
/// right. There are at most as many as the sources have secrets.
pub(in crate::region) struct Tokens {
    owners: HashMap<Digest256, Owner>,
    /// True if every source of own applications is served as it is configured, so that a token that is not
    /// here is nobody's.
    is_complete: bool,
}

enum Owner {
    One(Arc<Source>),
    /// Several sources have the token. None of them gets its events.
    Several,
}

fn is_of_own_applications(source: &snapshot::Source) -> bool {
    presets::find(&source.scheme).is_some_and(|preset| preset.own_applications)
}

impl Tokens {
    /// Collects the tokens of sources. Sources that share one are refused by name: the token finds neither of
    /// them. Their own paths still find them.
    pub(in crate::region) fn of(
        sources: &HashMap<Name, Arc<Source>>,
        snapshot: &Snapshot,
        refused: &mut BTreeMap<Name, Refused>,
    ) -> Self {
        let mut own = snapshot.sources.iter().filter(|(_, source)| is_of_own_applications(source));
        let is_complete = own.all(|(name, _)| !refused.contains_key(name));
        let mut owners = HashMap::new();
        let mut firsts: HashMap<Digest256, Name> = HashMap::new();
        // In the order of their names, so that every gateway says the same.
        for (name, source) in snapshot.sources.keys().filter_map(|name| sources.get_key_value(name)) {
            for token in source.verifier.tokens() {
                match owners.entry(*token) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(Owner::One(Arc::clone(source)));
                        firsts.insert(*token, name.clone());
                    }
                    Entry::Occupied(mut occupied) => {
                        let first = firsts[token].clone();
                        if first != *name {
                            occupied.insert(Owner::Several);
                            refuse(refused, &first, name);
                            refuse(refused, name, &first);
                        }
                    }
                }
            }
        }
        Self { owners, is_complete }
    }

    /// Finds the source whose token a request has.
    ///
    /// # Errors
    /// [`Refusal::Unauthorized`]; or [`Refusal::Unavailable`] if several sources have the token, or it may be
    /// that of a source which this gateway cannot serve as it is configured.
    pub(in crate::region) fn source(&self, headers: &HeaderMap) -> Result<&Arc<Source>, Refusal> {
        let token = bearer(headers).map_err(Refusal::Unauthorized)?;
        match self.owners.get(&Digest256::of(token.as_bytes())) {
            Some(Owner::One(source)) => Ok(source),
            Some(Owner::Several) => Err(Refusal::Unavailable(Unavailable::SharedToken)),
            None if self.is_complete => {
                Err(Refusal::Unauthorized(Failure::NoMatch { keys: self.owners.len() }))
            }
            None => Err(Refusal::Unavailable(Unavailable::Refused)),
        }
    }
}

fn refuse(refused: &mut BTreeMap<Name, Refused>, name: &Name, other: &Name) {
    let reason = format!("source `{other}` has the same token, so that it finds neither: give each its own");
    refused.entry(name.clone()).or_insert(Refused { reason, is_final: true });
}
