//! Waiting until regions serve a revision.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::api::{Api, ApiError};

/// How long regions that can be reached are waited for: a gateway compiles what it binds first, and an interpreter of
/// JavaScript or Python takes a small machine with several gateways most of a minute.
const PATIENCE: Duration = Duration::from_secs(90);
/// The wait between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// How far a region has come.
#[derive(Debug, Serialize)]
pub(crate) struct Rollout {
    name: String,
    state: State,
    /// Why it does not serve the revision, if that is known.
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Serves,
    Late,
    /// It gets the revision when it can be reached again.
    Unreachable,
}

#[derive(Deserialize)]
struct Listed {
    items: Vec<Region>,
}

#[derive(Deserialize)]
struct Region {
    name: String,
    reachable: bool,
    serving: Option<u64>,
    gateways: Vec<Gateway>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Gateway {
    gateway: String,
    stale: bool,
    error: Option<String>,
}

/// Waits until each region that can be reached serves `revision`, at most [`PATIENCE`].
pub(crate) async fn wait(api: &Api, revision: u64) -> Result<Vec<Rollout>, ApiError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let listed: Listed = api.get(&["regions"]).await?;
        let regions: Vec<_> = listed.items.into_iter().map(|region| region.rollout(revision)).collect();
        if Instant::now() >= deadline || !regions.iter().any(Rollout::is_late) {
            return Ok(regions);
        }
        sleep(PAUSE).await;
    }
}

/// What became of it, as text.
pub(crate) fn render(revision: u64, regions: &[Rollout]) -> String {
    let lines = regions.iter().map(|region| {
        let reason = region.reason.as_ref();
        let reason = reason.map(|reason| format!(": {}", crate::output::printable(reason))).unwrap_or_default();
        match region.state {
            State::Serves => format!("{} serves revision {revision}\n", region.name),
            State::Late => format!("{} does NOT serve revision {revision} yet{reason}\n", region.name),
            State::Unreachable => {
                format!("{} gets revision {revision} once it can be reached{reason}\n", region.name)
            }
        }
    });
    lines.collect()
}

impl Rollout {
    /// Whether the region could serve the revision and does not.
    pub(crate) fn is_late(&self) -> bool {
        self.state == State::Late
    }
}

impl Region {
    fn rollout(self, revision: u64) -> Rollout {
        let state = match (self.reachable, self.serving) {
            (false, _) => State::Unreachable,
            (true, Some(serving)) if serving >= revision => State::Serves,
            (true, _) => State::Late,
        };
        let reason = if state == State::Serves { None } else { self.reason() };
        Rollout { name: self.name, state, reason }
    }

    fn reason(&self) -> Option<String> {
        let of_gateway =
            |gateway: &Gateway| Some(format!("{}: {}", gateway.gateway, gateway.error.as_ref()?));
        let live = || self.gateways.iter().filter(|gateway| !gateway.stale);
        let nobody = || (self.reachable && live().next().is_none()).then(|| "no gateway reports".to_owned());
        self.error.clone().or_else(|| live().find_map(of_gateway)).or_else(nobody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(region: &str) -> Rollout {
        serde_json::from_str::<Region>(region).unwrap().rollout(7)
    }

    #[test]
    fn a_region_serves_once_its_slowest_gateway_does() {
        let serves =
            rollout(r#"{"name": "eu", "reachable": true, "serving": 7, "gateways": [], "error": null}"#);
        assert_eq!(serves.state, State::Serves);
        let late = rollout(
            r#"{"name": "eu", "reachable": true, "serving": 6, "error": null,
                "gateways": [{"gateway": "eu-1", "stale": false, "error": "no memory"}]}"#,
        );
        assert_eq!((late.state, late.reason.as_deref()), (State::Late, Some("eu-1: no memory")));
    }

    #[test]
    fn silence_is_not_service() {
        let silent = rollout(
            r#"{"name": "eu", "reachable": true, "serving": null, "error": null,
                "gateways": [{"gateway": "eu-1", "stale": true, "error": null}]}"#,
        );
        assert_eq!((silent.state, silent.reason.as_deref()), (State::Late, Some("no gateway reports")));
        let away =
            rollout(r#"{"name": "us", "reachable": false, "serving": null, "gateways": [], "error": "x"}"#);
        assert_eq!(away.state, State::Unreachable);
    }
}
