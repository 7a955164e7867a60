//! How the OpenAPI document describes types whose JSON is not that of their fields.

use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::central::Lost;
use crate::source::{AcceptedStatus, Locator};
use crate::type_pattern::TypePattern;

impl ToSchema for TypePattern {}

impl PartialSchema for TypePattern {
    fn schema() -> RefOr<Schema> {
        text(Self::MAX_LEN)
            .min_length(Some(1))
            .description(Some("An event type, or the beginning of one and `*`."))
            .examples(["invoice.*"])
            .into()
    }
}

impl ToSchema for Locator {}

impl PartialSchema for Locator {
    fn schema() -> RefOr<Schema> {
        let json = "A JSON pointer (RFC 6901) into the body; strings and numbers count.";
        OneOfBuilder::new()
            .item(place("json", json))
            .item(place("header", "The name of a header."))
            .description(Some("Where a value is in a request: a JSON pointer into the body, or a header."))
            .into()
    }
}

impl ToSchema for AcceptedStatus {}

impl PartialSchema for AcceptedStatus {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .enum_values(Some([200, 202, 204]))
            .default(Some(200.into()))
            .description(Some(
                "The status of the answer to an accepted event: 200 and 202 with the event's id, 204 without a body.",
            ))
            .into()
    }
}

impl ToSchema for Lost {}

impl PartialSchema for Lost {
    fn schema() -> RefOr<Schema> {
        let kind = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(["missing", "anew", "went-back"]))
            .description(Some(
                "`missing`: there is none of this name. `anew`: it is not the one that was noted. `went-back`: it ends before \
                 what was read from it.",
            ));
        ObjectBuilder::new()
            .property("kind", kind)
            .property("last", sequence("Its last sequence, if it went back."))
            .property(
                "known",
                sequence("The last sequence that is known to have been there, if it went back."),
            )
            .required("kind")
            .description(Some("What became of a stream."))
            .into()
    }
}

/// An object with this one member.
fn place(member: &str, description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .property(member, text(Locator::MAX_BYTES).description(Some(description)))
        .required(member)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .description(Some(description))
}

fn text(most: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).max_length(Some(most))
}

fn sequence(description: &str) -> ObjectBuilder {
    let format = utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Int64);
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(format))
        .minimum(Some(0))
        .description(Some(description))
}
