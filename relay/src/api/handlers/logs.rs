//! What a handler logs, from all regions, for as long as somebody reads it.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use floodgate_event::{ProblemCode, subject};
use futures::stream::{self, BoxStream, StreamExt};

use crate::api::extract::PathName;
use crate::api::{ApiError, ApiState};
use crate::control::{Kind, Refused};

/// Lines of JSON, [one each](https://github.com/ndjson/ndjson-spec).
const LINES: &str = "application/x-ndjson";
/// How often an empty line says that the connection still stands.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Follows a handler's lines. Nothing is kept of them, so that only those from now on are there, and a reader that cannot
/// keep up loses some.
pub(super) async fn follow(
    State(state): State<ApiState>,
    PathName(name): PathName,
) -> Result<Response, ApiError> {
    if !state.control.configuration().handlers.contains_key(&name) {
        return Err(Refused::NotFound { kind: Kind::Handler, name }.into());
    }
    let permit = state.followers.clone().try_acquire_owned();
    let permit =
        permit.map_err(|_| ApiError::new(ProblemCode::Unavailable, "too many follow handlers' lines"))?;
    let mut lines: Vec<BoxStream<'static, Bytes>> = vec![heartbeats().boxed()];
    for (_, client) in state.control.region_clients() {
        let subscribed = client.subscribe(subject::handler_log(name.as_str())).await;
        let lines_here = subscribed.map_err(|error| ApiError::ours(ProblemCode::Unavailable, &error))?;
        lines.push(lines_here.map(|message| line(&message.payload)).boxed());
    }
    let lines = stream::select_all(lines).take_until(state.control.stopping());
    let body = Body::from_stream(lines.map(move |line| {
        let _held_until_the_reader_is_gone = &permit;
        Ok::<_, Infallible>(line)
    }));
    Ok(([(CONTENT_TYPE, LINES)], body).into_response())
}

fn line(text: &[u8]) -> Bytes {
    [text, b"\n"].concat().into()
}

fn heartbeats() -> impl futures::Stream<Item = Bytes> {
    stream::unfold((), |()| async {
        tokio::time::sleep(HEARTBEAT).await;
        Some((Bytes::from_static(b"\n"), ()))
    })
}
