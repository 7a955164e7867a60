//! Bounds that the OpenAPI document states and that cannot be derived from the types of requests and answers.

use floodgate_event::source::Intake;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{Components, Object, RefOr, Schema};

use crate::document::SourceDocument;

/// Adds the bounds that a derived schema has no words for: how many members a map has, that `verify` has no
/// other fields, and what `dry_run` always is in a preview.
pub fn add(components: &mut Components) {
    for (schema, map, most) in [
        ("Source", "keys", SourceDocument::MAX_KEYS),
        ("Source", "lanes", Intake::MAX_LANES),
        ("SourceView", "keys", SourceDocument::MAX_KEYS),
        ("SourceView", "lanes", Intake::MAX_LANES),
    ] {
        if let Some(map) = property(components, schema, map) {
            map.max_properties = Some(most);
        }
    }
    if let Some(verify) = object(components, "VerifyView") {
        verify.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
    if let Some(dry_run) = property(components, "ReplayPreview", "dry_run") {
        dry_run.enum_values = Some(vec![true.into()]);
    }
}

fn property<'a>(components: &'a mut Components, schema: &str, name: &str) -> Option<&'a mut Object> {
    as_object(object(components, schema)?.properties.get_mut(name)?)
}

fn object<'a>(components: &'a mut Components, name: &str) -> Option<&'a mut Object> {
    as_object(components.schemas.get_mut(name)?)
}

fn as_object(schema: &mut RefOr<Schema>) -> Option<&mut Object> {
    match schema {
        RefOr::T(Schema::Object(object)) => Some(object),
        _ => None,
    }
}
