//! What a handler logs, from all regions, for as long as somebody reads it.

use std::convert::Infallible;
use std::time::Duration;

use async_nats::Subscriber;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use floodgate_api::paths;
use floodgate_api::query::NamePath;
use floodgate_api::view::LogLine;
use floodgate_control::{Kind, Refused};
use floodgate_event::{Problem, ProblemCode, subject};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;

use crate::api::extract::PathName;
use crate::api::{ApiError, ApiState};

/// Lines of JSON, [one each](https://github.com/ndjson/ndjson-spec).
const LINES: &str = "application/x-ndjson";
/// Lines of one region that wait for a reader; more are lost.
const MAX_WAITING: usize = 256;
/// How often an empty line says that the connection is open.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Follow what a handler logs in all regions: a JSON object per line, and an empty line every 15 s.
///
/// Nothing is kept of the lines, so that only those from now on are there, and a reader that cannot keep up
/// loses some.
#[utoipa::path(
    get,
    path = paths::LOGS,
    operation_id = "follow_logs",
    tag = "handlers",
    params(NamePath),
    responses(
        (status = 200, body = LogLine, content_type = "application/x-ndjson", description = "Lines from now on, for as long as they are read"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
        (status = 503, response = Problem),
    )
)]
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
        let subscribed = subscribed.map_err(|error| ApiError::ours(ProblemCode::Unavailable, &error))?;
        lines.push(bounded(subscribed).boxed());
    }
    let lines = stream::select_all(lines).take_until(state.control.stopping());
    let body = Body::from_stream(lines.map(move |line| {
        let _held_until_the_reader_is_gone = &permit;
        Ok::<_, Infallible>(line)
    }));
    Ok(([(CONTENT_TYPE, LINES)], body).into_response())
}

/// A subscription that loses lines, and not the relay's memory, when its reader stalls.
fn bounded(mut subscribed: Subscriber) -> impl futures::Stream<Item = Bytes> {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = sender.closed() => return,
                message = subscribed.next() => match message {
                    // No room: it is lost.
                    Some(message) => drop(sender.try_send(line(&message.payload))),
                    None => return,
                },
            }
        }
    });
    stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|line| (line, receiver)) })
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
