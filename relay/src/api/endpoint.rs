//! An endpoint: a handler with what its annotation says of it, and its time limit.

use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use utoipa_axum::router::{UtoipaMethodRouter, UtoipaMethodRouterExt as _};

use super::{ApiState, limits};

/// How long a request may take, unless an endpoint says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a request may take if it compiles components first, one for each new pair of component and
/// parameters.
const ASKING_TIMEOUT: Duration = Duration::from_secs(180);

/// A route with its description, as `utoipa_axum::routes!` makes it from a handler.
pub(crate) type Route = UtoipaMethodRouter<ApiState>;

/// An endpoint of one method and path, with the usual time limit.
pub(crate) struct Endpoint(pub(super) Route);

impl Endpoint {
    pub(crate) fn quick(route: Route) -> Self {
        Self::within(TIMEOUT, route)
    }

    /// An endpoint that may have to ask handlers whether they accept their parameters.
    pub(crate) fn asking(route: Route) -> Self {
        Self::within(ASKING_TIMEOUT, route)
    }

    /// An endpoint with a large body and a longer time limit.
    pub(crate) fn upload(route: Route, max_bytes: usize, timeout: Duration) -> Self {
        Self::within(timeout, route.layer(DefaultBodyLimit::max(max_bytes)))
    }

    fn within(timeout: Duration, route: Route) -> Self {
        Self(route.layer(from_fn_with_state(timeout, limits::timed)))
    }
}
