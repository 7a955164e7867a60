//! Waits for a replay that the API runs, of either kind.

use std::time::Duration;

use floodgate_api::replay::State;
use indicatif::ProgressBar;

use crate::api::{Client, ClientError};
use crate::exit::Failure;

/// The pause between two looks at a replay.
const PAUSE: Duration = Duration::from_millis(250);

/// How far a replay is.
pub(crate) trait Replay: Sized {
    fn id(&self) -> &str;
    fn state(&self) -> State;
    /// Why it failed.
    fn error(&self) -> Option<&str>;
    /// How many of its items were tried.
    fn tried(&self) -> u64;
    /// What its end lacks of a success, if it was neither given up nor cancelled.
    fn shortfall(&self) -> Option<String>;
    async fn look(api: &Client, id: &str) -> Result<Self, ClientError>;
    async fn cancel(api: &Client, id: &str) -> Result<Self, ClientError>;
}

/// Waits until the replay has ended. Ctrl-C cancels it. The bar is shown on a terminal only.
pub(crate) async fn wait<R: Replay>(api: &Client, mut replay: R, bar: ProgressBar) -> Result<R, ClientError> {
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut cancelled = false;
    while replay.state() == State::Running {
        tokio::select! {
            Ok(()) = &mut interrupted, if !cancelled => {
                cancelled = true;
                R::cancel(api, replay.id()).await?;
            }
            () = tokio::time::sleep(PAUSE) => {}
        }
        replay = R::look(api, replay.id()).await?;
        bar.set_position(replay.tried());
    }
    bar.finish_and_clear();
    Ok(replay)
}

/// A success if everything was tried, and nothing is short of it.
pub(crate) fn verdict(replay: &impl Replay) -> Result<(), Failure> {
    match (replay.state(), replay.shortfall()) {
        (State::Failed, _) => {
            let error = replay.error().unwrap_or("no reason given");
            Err(Failure::work(format!("the replay was given up: {error}")))
        }
        (State::Cancelled, _) => Err(Failure::work("the replay was cancelled")),
        (_, Some(shortfall)) => Err(Failure::work(shortfall)),
        _ => Ok(()),
    }
}
