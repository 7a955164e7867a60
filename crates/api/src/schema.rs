//! Types that only the OpenAPI document uses.

use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, Schema, Type};

/// Counts the changes of the whole configuration, from 1.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
#[schema(minimum = 1)]
pub struct Revision(u64);

/// A wait, in seconds.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
#[schema(minimum = 0, maximum = 604800)]
pub struct Wait(u64);

/// A WebAssembly component, in binary form.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
#[schema(value_type = String, format = Binary, max_length = 33554432)]
pub struct Component(String);

/// A field of the interface that this version does not build.
pub fn not_yet() -> Schema {
    ObjectBuilder::new().schema_type(Type::Null).description(Some("Not there yet.")).build().into()
}
