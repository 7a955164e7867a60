//! Ends connections whose peers make others wait because they send or read nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::bounds::Bounds;
use crate::ended::Ended;

/// How long a connection without a request stays open when the port stops.
const FIRST_REQUEST: Duration = Duration::from_millis(500);
/// How often a connection is checked after the port has stopped.
const LOOK: Duration = Duration::from_millis(50);

/// How long a connection may be idle while others wait for a place.
pub(crate) const CROWDED: Duration = Duration::from_secs(1);

/// The state of the port that each connection needs.
#[derive(Debug, Clone)]
pub(crate) struct Stops {
    /// A permit for each connection.
    pub(crate) places: Arc<Semaphore>,
    /// Cancelled when the port stops: connections finish what is under way.
    pub(crate) stop: CancellationToken,
    /// Cancelled when all connections must end now.
    pub(crate) cut: CancellationToken,
}

impl Stops {
    /// Returns true if a new connection would have to wait until another ends.
    fn is_crowded(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Returns once a connection waits for a place.
    pub(crate) async fn crowded(&self) {
        loop {
            sleep(CROWDED).await;
            if self.is_crowded() {
                return;
            }
        }
    }
}

/// Decides when one connection must close.
pub(crate) struct Watch {
    activity: Arc<Activity>,
    bounds: Arc<Bounds>,
    stops: Stops,
    /// True once the peer was told that no more requests are taken.
    is_spent: bool,
    leaving_since: Option<Instant>,
}

/// What the connection must do next.
pub(crate) enum Step {
    /// Announce the end, by GOAWAY or `connection: close`, and answer the requests under way.
    Close,
    End(Ended),
}

impl Watch {
    pub(crate) fn new(activity: Arc<Activity>, bounds: Arc<Bounds>, stops: Stops) -> Self {
        Self { activity, bounds, stops, is_spent: false, leaving_since: None }
    }

    /// Waits until the connection must do something. Cancel-safe.
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
                    // A new connection may have its first request on the way. One that has sent nothing by
                    // then loses nothing.
                    let _ = timeout(FIRST_REQUEST, self.activity.begun()).await;
                    break;
                }
                // Requests under way have the time that they would have had.
                () = self.activity.spent(), if !self.is_spent => {
                    self.is_spent = true;
                    return Step::Close;
                }
                () = self.activity.overdrawn() => return Step::End(Ended::Requests),
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

    /// How long none of the bounds can be reached.
    fn next_look(&self) -> Duration {
        let Bounds { head, write, .. } = *self.bounds;
        let idle = match self.activity.is_idle() {
            true => CROWDED.min(head.saturating_sub(self.activity.still_for())),
            false => head,
        };
        // An answer may have waited for longer than since the last check.
        idle.min(write.saturating_sub(self.activity.unread_for())).max(LOOK)
    }

    /// Waits until complete requests are answered. Everything else gets little time.
    async fn leaving(&self, since: Instant) -> Step {
        loop {
            sleep(LOOK).await;
            if since.elapsed() >= self.bounds.last_bytes {
                // By now it has heard of the end. One that has not, or does not care, begins requests on.
                self.activity.close();
            }
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
