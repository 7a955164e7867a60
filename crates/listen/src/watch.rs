//! Ends connections whose peers make others wait: those that send nothing, and those that read nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::bounds::Bounds;
use crate::connection::Ended;

/// How long a connection without any request yet stays open when the port stops.
const FIRST_REQUEST: Duration = Duration::from_millis(500);
/// How often a connection that is leaving is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How long a connection may be idle while others wait for a place.
const CROWDED: Duration = Duration::from_secs(1);

/// What of its port concerns each connection.
#[derive(Debug, Clone)]
pub(crate) struct Stops {
    /// A permit for each connection.
    pub(crate) places: Arc<Semaphore>,
    /// Take no more, and finish.
    pub(crate) stop: CancellationToken,
    /// End now.
    pub(crate) cut: CancellationToken,
}

impl Stops {
    /// Whether whoever comes now has to wait until another goes.
    fn is_crowded(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Until somebody waits for a place.
    pub(crate) async fn crowded(&self) {
        loop {
            sleep(CROWDED).await;
            if self.is_crowded() {
                return;
            }
        }
    }
}

/// Watches one connection.
pub(crate) struct Watch {
    activity: Arc<Activity>,
    bounds: Arc<Bounds>,
    stops: Stops,
    leaving_since: Option<Instant>,
}

/// What to do with it.
pub(crate) enum Step {
    /// Say that nothing more is taken: GOAWAY or `connection: close`. Requests under way are answered.
    Close,
    End(Ended),
}

impl Watch {
    pub(crate) fn new(activity: Arc<Activity>, bounds: Arc<Bounds>, stops: Stops) -> Self {
        Self { activity, bounds, stops, leaving_since: None }
    }

    /// Waits until something has to be done. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Step {
        match self.leaving_since {
            None => self.serving().await,
            Some(since) => self.leaving(since).await,
        }
    }

    async fn serving(&mut self) -> Step {
        loop {
            tokio::select! {
                () = self.stops.stop.cancelled() => {
                    // Whoever has only just connected: its first request is on its way.
                    // Whoever has sent nothing by then has nothing to lose.
                    let _ = timeout(FIRST_REQUEST, self.activity.begun()).await;
                    break;
                }
                () = sleep(self.next_look()) => {}
            }
            if self.activity.unread_for() >= self.bounds.write {
                return Step::End(Ended::Unread);
            }
            let longest =
                if self.stops.is_crowded() { CROWDED.min(self.bounds.head) } else { self.bounds.head };
            if self.activity.is_idle() && self.activity.still_for() >= longest {
                break;
            }
        }
        self.leaving_since = Some(Instant::now());
        Step::Close
    }

    /// Until one of the bounds may be reached.
    fn next_look(&self) -> Duration {
        let Bounds { head, write, .. } = *self.bounds;
        let idle = match self.activity.is_idle() {
            true => CROWDED.min(head.saturating_sub(self.activity.still_for())),
            false => head,
        };
        // An answer may have been lying for longer than nobody looked.
        idle.min(write.saturating_sub(self.activity.unread_for())).max(LOOK)
    }

    /// What is here whole is answered; everything else has little time.
    async fn leaving(&self, since: Instant) -> Step {
        loop {
            sleep(LOOK).await;
            let still = since.elapsed().min(self.activity.still_for());
            let is_over = !self.activity.is_working() && still >= self.bounds.last_bytes;
            if is_over || self.stops.cut.is_cancelled() {
                return Step::End(Ended::Left);
            }
            if self.activity.unread_for() >= self.bounds.write {
                return Step::End(Ended::Unread);
            }
        }
    }
}
