//! The forms of answers that several endpoints share.

use floodgate_event::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema;

/// A whole list; what bounds it are the configuration's own bounds.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Listed<T> {
    /// The revision of the configuration that the list is of.
    #[schema(value_type = schema::Revision)]
    pub revision: u64,
    /// Every object, by name.
    pub items: Vec<T>,
}

/// An object of a list of which only the name is read; its collection decides what else there is of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// The name of the object.
    pub name: Name,
}

/// What a `PUT` did, or would do. `T` is the object as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Put<T> {
    /// The name of the object.
    pub name: Name,
    /// The revision that holds the document.
    #[schema(value_type = schema::Revision)]
    pub revision: u64,
    /// Whether the request changed anything.
    pub changed: bool,
    /// Whether every shard routes by this revision and, for a source, every region serves it. Waited for at
    /// most 10 s. Not in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub in_force: Option<bool>,
    /// What the relay stored as requested, although it is probably a mistake.
    #[serde(default)]
    #[schema(required = true)]
    pub warnings: Vec<Warning>,
    /// With `dry_run`: the object as it is, or null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<T>)]
    pub before: Option<Option<T>>,
    /// With `dry_run`: the object as it would be, or null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<T>)]
    pub after: Option<Option<T>>,
}

/// What a `DELETE` did.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Removed {
    /// The name of the object.
    pub name: Name,
    /// The first revision without it.
    #[schema(value_type = schema::Revision)]
    pub revision: u64,
    /// Whether every shard routes by this revision and, for a source, every region serves it. Waited for at
    /// most 10 s. Not of a handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub in_force: Option<bool>,
}

/// Something that the relay stored as requested, although it is probably a mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// Where, like `subscribe.sources[0]`; empty for the object as a whole.
    pub path: String,
    /// What is likely wrong there.
    pub message: String,
}

impl Warning {
    /// A warning of the field at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}
