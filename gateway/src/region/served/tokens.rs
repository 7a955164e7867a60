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
    /// True if the tokens of every source of own applications are here, so that another one is nobody's.
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

/// Returns true if a source is served with all the tokens that it is configured with. If only its handlers
/// were refused, it is.
fn has_all_tokens(served: Option<&Arc<Source>>, configured: &snapshot::Source) -> bool {
    let is_served =
        |id: &String| served.is_some_and(|source| source.secrets.iter().any(|secret| secret.id == *id));
    configured.secrets.iter().map(|secret| &secret.id).all(is_served)
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
        let is_complete = own.all(|(name, source)| has_all_tokens(sources.get(name), source));
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
    /// one that this gateway cannot read.
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

#[cfg(test)]
mod tests {
    use floodgate_event::seal::{OpeningKey, Owner};
    use floodgate_event::snapshot::SealedSecret;
    use floodgate_event::source::{RawPolicy, default_tenant};
    use floodgate_event::{LogRate, Secret, ShardCount};
    use floodgate_schemes::NamedSecret;
    use http::header::{AUTHORIZATION, HeaderValue};

    use super::*;
    use crate::chain::{Chain, LogSender};
    use crate::metrics::Metrics;
    use crate::region::secret_use::SecretUse;
    use crate::verify::{Deployment, Verifier};

    /// A source with these tokens, each of which is its own id.
    fn configured(tokens: &[&str]) -> snapshot::Source {
        let owner = Owner { tenant: "default", kind: "source", name: "orders", field: snapshot::SECRETS };
        let key = OpeningKey::generate();
        let sealed = |token: &&str| SealedSecret {
            id: (*token).to_owned(),
            secret: key.sealing_key().seal(&Secret::new(*token), owner).unwrap(),
        };
        snapshot::Source {
            tenant: default_tenant(),
            scheme: "token".parse().unwrap(),
            secrets: tokens.iter().map(sealed).collect(),
            tolerance_seconds: None,
            settings: Default::default(),
            keys: BTreeMap::new(),
            handlers: Vec::new(),
            intake: serde_json::from_str("{}").unwrap(),
        }
    }

    /// The source as it is served with these tokens.
    fn served(tokens: &[&str]) -> Arc<Source> {
        let name: Name = "orders".parse().unwrap();
        let named = |token: &&str| NamedSecret { id: (*token).to_owned(), secret: Secret::new(*token) };
        let secrets = tokens.iter().map(named).collect();
        let deployment = Deployment { region: "eu".parse().unwrap(), revision: 1, shards: ShardCount::ONE };
        let verifier = Verifier::new(name.clone(), &configured(tokens), secrets, deployment).unwrap();
        Arc::new(Source {
            verifier: Arc::new(verifier),
            secrets: SecretUse::of(tokens.iter().copied(), &[]),
            chain: Arc::new(Chain::new(Vec::new(), RawPolicy::Keep, LogSender::new().0)),
            limiter: None,
            metrics: Metrics::new().unwrap().source(&name),
            refusals: Arc::new(LogRate::new()),
            name,
        })
    }

    /// The answer to a token that nobody has, while the source is refused as it is configured.
    fn answer(configured: snapshot::Source, served: Option<Arc<Source>>) -> Refusal {
        let name: Name = "orders".parse().unwrap();
        let snapshot = Snapshot {
            revision: 1,
            created_at_us: 0,
            region: "eu".parse().unwrap(),
            shards: ShardCount::ONE,
            sources: [(name.clone(), configured)].into(),
            handlers: BTreeMap::new(),
        };
        let sources = served.map(|source| (name.clone(), source)).into_iter().collect();
        let mut refused = [(name, Refused { reason: String::new(), is_final: false })].into();
        let tokens = Tokens::of(&sources, &snapshot, &mut refused);
        let headers = [(AUTHORIZATION, HeaderValue::from_static("Bearer of-nobody"))];
        tokens.source(&headers.into_iter().collect()).map(|_| ()).unwrap_err()
    }

    #[test]
    fn a_token_that_is_unknown_may_be_right_only_if_some_token_cannot_be_read() {
        let (old, new) = ("the-old-token-of-the-application", "the-new-token-of-the-application");
        let may_be_right = Refusal::Unavailable(Unavailable::Refused);
        assert_eq!(answer(configured(&[old]), None), may_be_right, "it is not served at all");
        let earlier = answer(configured(&[old, new]), Some(served(&[old])));
        assert_eq!(earlier, may_be_right, "it is served with its earlier tokens");
        let only_handlers = answer(configured(&[old, new]), Some(served(&[old, new])));
        assert!(matches!(only_handlers, Refusal::Unauthorized(_)), "only its handlers were refused");
    }
}
