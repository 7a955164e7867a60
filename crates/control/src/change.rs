//! Changes of the configuration, as pure functions: the store applies one again if another change was written
//! first. A change that leaves the configuration as it is makes no revision.

mod tokens;

use floodgate_api::document::{DestinationDocument, HandlerDocument, Invalid, SourceDocument};
use floodgate_event::seal::SealError;
use floodgate_event::{Digest256, Name};
use floodgate_routes::Gone;

use super::configuration::{Configuration, Destination, Handler, Source};
use super::vault::{self, Readers, Vault};

/// The most sources of a deployment.
pub(crate) const MAX_SOURCES: usize = 10_000;
/// The most destinations of a deployment.
pub(crate) const MAX_DESTINATIONS: usize = 10_000;
/// The most handlers of a deployment.
pub(crate) const MAX_HANDLERS: usize = 1_000;

/// The kinds of objects that the configuration has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A provider, or an own application, that webhooks come from.
    Source,
    /// A consumer's endpoint that events are delivered to.
    Destination,
    /// A component that gateways run on events, in all its versions.
    Handler,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Handler => "handler",
        })
    }
}

/// Why a change is not made. The caller is at fault, except for `Seal`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such object.
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// The kind of object that the request names.
        kind: Kind,
        /// The name that the request gave.
        name: Name,
    },
    /// Sources still bind the handler.
    #[error(
        "handler `{handler}` is bound by {count} source(s), the first is `{source_name}`: unbind it first"
    )]
    StillBound {
        /// The handler that was to be deleted.
        handler: Name,
        /// The first source that binds it, by name.
        source_name: Name,
        /// The number of sources that bind it.
        count: usize,
    },
    /// The document contradicts what else is configured, or what gateways allow.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There are as many of something as may be.
    #[error("there are {most} {what} already, and no more are taken")]
    LimitReached {
        /// What there are so many of, in the plural.
        what: &'static str,
        /// The most of them that may be configured.
        most: usize,
    },
    /// The snapshot of the configuration for a region would be too large.
    #[error(
        "what region `{region}` gets of the configuration would be larger than the {most} bytes that fit"
    )]
    SnapshotTooLarge {
        /// The region with the longest name, and so with the largest snapshot.
        region: Name,
        /// The largest snapshot that fits, in bytes.
        most: usize,
    },
    /// The stored object does not meet the request's precondition.
    #[error("{}", precondition(*.kind, .name, .stored.as_deref()))]
    Precondition {
        /// The kind of the object.
        kind: Kind,
        /// The name that the request gave.
        name: Name,
        /// The entity tag of the stored object, if there is one.
        stored: Option<String>,
    },
    /// Another change was written after this one was validated.
    #[error("the configuration changed meanwhile: try again")]
    ChangedMeanwhile,
    /// There is no version to roll back to.
    #[error("handler `{0}` was never promoted to another version")]
    NoPreviousVersion(Name),
    /// The version to try is the promoted one.
    #[error("version {version} of handler `{handler}` is the promoted one")]
    AlreadyPromoted {
        /// The handler that the rollout is for.
        handler: Name,
        /// The version that the request gave.
        version: u32,
    },
    /// A secret could not be sealed, or a stored one could not be opened.
    #[error("a secret could not be sealed")]
    Seal(#[from] SealError),
}

impl Configuration {
    pub(crate) fn put_source(
        &mut self,
        name: &Name,
        document: &SourceDocument,
        vault: &Vault,
    ) -> Result<(), Refused> {
        self.check_bindings(&document.handlers)?;
        check_room(&self.sources, name, "sources", MAX_SOURCES)?;
        // Secrets are bound to their tenant: under another one they are sealed anew.
        let stored = self.sources.get(name).filter(|source| source.tenant == document.tenant);
        let secrets = vault.keep_or_seal(
            &document.verify.secrets,
            stored.map_or(&[], |source| &source.secrets),
            vault::source(&document.tenant, name),
            Readers::Regions,
        )?;
        tokens::check(self, (name, document), stored, &secrets, vault)?;
        let keys = stored.map(|source| &source.keys);
        let keys = vault.keep_or_seal_keys(&document.keys, keys, &document.tenant, name)?;
        let source = Source {
            tenant: document.tenant.clone(),
            scheme: document.verify.scheme.clone(),
            tolerance_seconds: document.verify.tolerance(),
            settings: document.verify.settings.clone(),
            secrets,
            keys,
            handlers: document.handlers.clone(),
            intake: document.intake(),
        };
        self.sources.insert(name.clone(), source);
        Ok(())
    }

    pub(crate) fn put_destination(
        &mut self,
        name: &Name,
        document: &DestinationDocument,
        vault: &Vault,
    ) -> Result<(), Refused> {
        check_room(&self.destinations, name, "destinations", MAX_DESTINATIONS)?;
        let stored = self.destinations.get(name).filter(|stored| stored.tenant == document.tenant);
        let secrets = vault.keep_or_seal(
            &document.secrets,
            stored.map_or(&[], |stored| &stored.secrets),
            vault::destination(&document.tenant, name),
            Readers::None,
        )?;
        // The store may give the change a later revision, and never an earlier one.
        let next = self.revision + 1;
        let before = self.destinations.get(name);
        let mut destination = Destination {
            tenant: document.tenant.clone(),
            secrets,
            delivery: document.delivery(),
            created: before.map_or(next, |before| before.created),
            put: before.map_or(next, |before| before.put),
            gone_at_us: 0,
        };
        if before != Some(&destination) {
            destination.put = next;
        }
        self.destinations.insert(name.clone(), destination);
        Ok(())
    }

    pub(crate) fn delete_source(&mut self, name: &Name) -> Result<(), Refused> {
        found(self.sources.remove(name), Kind::Source, name).map(drop)
    }

    pub(crate) fn delete_destination(&mut self, name: &Name) -> Result<(), Refused> {
        found(self.destinations.remove(name), Kind::Destination, name).map(drop)
    }

    /// Holds the deliveries of a destination that answered 410. Changes nothing if the destination was put
    /// since then, or is another one of the same name.
    pub(crate) fn disable_destination(&mut self, gone: &Gone, now_us: u64) {
        let destination = self.destinations.get_mut(&gone.destination);
        if let Some(destination) =
            destination.filter(|now| now.put == gone.mod_revision && now.delivery.enabled)
        {
            destination.delivery.enabled = false;
            destination.gone_at_us = now_us;
        }
    }

    /// Adds a version to a handler, and returns its number. The same bytes again are the same version.
    pub(crate) fn add_version(
        &mut self,
        name: &Name,
        digest: Digest256,
        size: u64,
        now_us: u64,
    ) -> Result<u32, Refused> {
        check_room(&self.handlers, name, "handlers", MAX_HANDLERS)?;
        match self.handlers.get_mut(name) {
            Some(handler) => handler.version_of(digest, size, now_us).ok_or(Refused::LimitReached {
                what: "versions of this handler",
                most: Handler::MAX_VERSIONS,
            }),
            None => {
                self.handlers.insert(name.clone(), Handler::first(digest, size, now_us));
                Ok(1)
            }
        }
    }

    pub(crate) fn delete_handler(&mut self, name: &Name) -> Result<(), Refused> {
        let bound: Vec<_> = self.bindings(name).map(|(source, _)| source.clone()).collect();
        if let Some(source_name) = bound.first() {
            let source_name = source_name.clone();
            return Err(Refused::StillBound { handler: name.clone(), source_name, count: bound.len() });
        }
        found(self.handlers.remove(name), Kind::Handler, name).map(drop)
    }

    /// The bindings of a handler, each with the source that has it.
    pub(crate) fn bindings(&self, handler: &Name) -> impl Iterator<Item = (&Name, &HandlerDocument)> {
        self.sources.iter().flat_map(move |(name, source)| {
            source.handlers.iter().filter(move |bound| bound.name == *handler).map(move |bound| (name, bound))
        })
    }

    fn check_bindings(&self, bindings: &[HandlerDocument]) -> Result<(), Invalid> {
        for (index, binding) in bindings.iter().enumerate() {
            let path = |field| format!("handlers[{index}].{field}");
            let Some(handler) = self.handlers.get(&binding.name) else {
                return Err(Invalid::new(
                    path("name"),
                    format!("there is no handler `{}`: upload it first", binding.name),
                ));
            };
            match binding.version {
                Some(version) if handler.version(version.get()).is_none() => {
                    return Err(no_version(path("version"), &binding.name, version.get()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn precondition(kind: Kind, name: &Name, stored: Option<&str>) -> String {
    match stored {
        Some(tag) => {
            format!("{kind} `{name}` is another version than the request expects: its ETag is {tag}")
        }
        None => format!("there is no {kind} `{name}`, and the request expects one"),
    }
}

pub(super) fn no_version(path: impl Into<String>, handler: &Name, version: u32) -> Invalid {
    Invalid::new(path, format!("handler `{handler}` has no version {version}"))
}

pub(super) fn found<T>(object: Option<T>, kind: Kind, name: &Name) -> Result<T, Refused> {
    object.ok_or_else(|| Refused::NotFound { kind, name: name.clone() })
}

fn check_room<T>(
    objects: &std::collections::BTreeMap<Name, T>,
    name: &Name,
    what: &'static str,
    most: usize,
) -> Result<(), Refused> {
    if objects.contains_key(name) || objects.len() < most {
        Ok(())
    } else {
        Err(Refused::LimitReached { what, most })
    }
}

#[cfg(test)]
mod tests;
