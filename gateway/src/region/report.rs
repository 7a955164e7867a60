//! Tells the region's bucket what this gateway serves, so that `apply` can wait for it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_nats::jetstream;
use async_nats::jetstream::context::KeyValueError;
use async_nats::jetstream::kv::PutError;
use floodgate_event::report::{GatewayReport, MAX_HANDLERS, MAX_REFUSED, Maxima, RefusedSource};
use floodgate_event::{Name, subject, time};
use tracing::debug;

use super::state::State;
use crate::nats::Connection;

/// How often, besides each change.
const INTERVAL: Duration = Duration::from_secs(5);

/// Reports for ever.
pub(super) async fn run(nats: Connection, state: Arc<State>, gateway: Name, maxima: Maxima) {
    let (mut served, mut trouble) = state.changes();
    loop {
        if nats.is_up() {
            let sent = send(&nats, &report(&state, &gateway, maxima)).await;
            if let Err(error) = sent {
                // The next report makes up for it, and health says what is wrong with the region's NATS.
                debug!(%error, "report not sent");
            }
        }
        tokio::select! {
            _ = served.changed() => {}
            _ = trouble.changed() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

fn report(state: &State, gateway: &Name, maxima: Maxima) -> GatewayReport {
    let served = state.served();
    let refused = served.iter().flat_map(|served| {
        served.refused.iter().map(|(source, refused)| RefusedSource {
            source: source.clone(),
            reason: refused.reason.clone(),
            as_before: served.source(source).is_some(),
        })
    });
    let used = served.iter().flat_map(|served| &served.used.versions).take(MAX_HANDLERS);
    let comparisons = served.iter().flat_map(|served| &served.used.comparisons).take(MAX_HANDLERS);
    GatewayReport {
        gateway: gateway.to_string(),
        revision: served.as_ref().map_or(0, |served| served.revision),
        handlers: used.map(|version| version.report()).collect(),
        trials: comparisons.map(|comparison| comparison.report()).collect(),
        maxima: Some(maxima),
        refused: refused.take(MAX_REFUSED).collect(),
        error: state.trouble(),
        reported_at_us: time::unix_micros(SystemTime::now()),
    }
}

async fn send(nats: &Connection, report: &GatewayReport) -> Result<(), ReportError> {
    let text = serde_json::to_vec(report).map_err(ReportError::Json)?;
    let context = jetstream::new(nats.client().clone());
    let bucket = context.get_key_value(subject::GATEWAYS_BUCKET).await.map_err(ReportError::Bucket)?;
    bucket.put(&report.gateway, text.into()).await.map_err(ReportError::Put)?;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error("{0}")]
    Json(#[source] serde_json::Error),
    #[error("{0}")]
    Bucket(#[source] KeyValueError),
    #[error("{0}")]
    Put(#[source] PutError),
}
