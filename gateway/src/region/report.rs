//! Writes what this gateway serves into the region's bucket, so that the relay and `floodgate apply` know how
//! far a revision has come.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_nats::jetstream;
use async_nats::jetstream::context::KeyValueError;
use async_nats::jetstream::kv::PutError;
use floodgate_event::report::{
    GatewayReport, MAX_HANDLERS, MAX_REFUSED, MAX_SECRETS, Maxima, RefusedSource, SecretReport,
};
use floodgate_event::{Name, subject, time};
use floodgate_stream::Connection;
use tracing::debug;

use super::served::Served;
use super::state::State;

/// How often a report is written, besides at each change.
const INTERVAL: Duration = Duration::from_secs(5);

/// Writes reports for ever: at each change, and every 5 seconds. Nothing is written while NATS is away.
pub(super) async fn run(nats: Connection, state: Arc<State>, gateway: Name, maxima: Maxima) {
    let (mut served, mut config_error) = state.changes();
    loop {
        if nats.is_up() {
            let sent = send(&nats, &report(&state, &gateway, maxima)).await;
            if let Err(error) = sent {
                // The next report replaces this one, and the health check reports what is wrong with the
                // region's NATS.
                debug!(%error, "report not sent");
            }
        }
        tokio::select! {
            _ = served.changed() => {}
            _ = config_error.changed() => {}
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
        secrets: served.iter().flat_map(|served| secrets(served)).take(MAX_SECRETS).collect(),
        error: state.config_error(),
        reported_at_us: time::unix_micros(SystemTime::now()),
    }
}

/// Returns the secrets of sources that have several. If a source has one, it is clear which verified.
fn secrets(served: &Served) -> impl Iterator<Item = SecretReport> {
    let several = served.sources.values().filter(|source| source.secrets.len() > 1);
    several.flat_map(|source| {
        source.secrets.iter().map(|secret| SecretReport {
            source: source.name.clone(),
            secret: secret.id.clone(),
            last_used_us: secret.last_us(),
        })
    })
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
