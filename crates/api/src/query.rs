//! Parameters of requests.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// How a document is put.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WriteQuery {
    /// True: nothing is changed, and the answer says what would be.
    #[serde(default)]
    #[param(default = false)]
    pub dry_run: bool,
    /// False: the answer does not wait until the change is in force.
    #[serde(default = "yes")]
    #[param(default = true, required = false)]
    pub wait: bool,
}

/// How a change is made that has no dry run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// False: the answer does not wait until the change is in force.
    #[serde(default = "yes")]
    #[param(default = true, required = false)]
    pub wait: bool,
}

const fn yes() -> bool {
    true
}

/// The name in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct NamePath {
    /// The name of the object.
    #[param(value_type = floodgate_event::Name)]
    pub name: String,
}

/// What a request expects of the object that it changes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Preconditions {
    /// ETags of the object, one of which it must have, or `*`: there must be such an object. Else the answer
    /// is 412.
    #[param(rename = "If-Match", nullable = false)]
    pub if_match: Option<String>,
    /// ETags that the object must not have, or `*`: there must be no such object. Else the answer is 412.
    #[param(rename = "If-None-Match", nullable = false)]
    pub if_none_match: Option<String>,
}
