//! Waits, each with a limit and a name.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::{Failure, Result};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Looks until there is something to see.
///
/// A look that fails is only a failure if the last one before the limit does too:
/// what is waited for is often the end of a fault.
///
/// # Errors
/// At the limit, with what was awaited.
pub async fn until<T>(
    what: impl fmt::Display,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let seen = look().await;
        match seen {
            Ok(Some(found)) => return Ok(found),
            Ok(None) | Err(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            Ok(None) => return Err(Failure::new(format!("waited {limit:?} in vain for {what}"))),
            Err(error) => return Err(error.during(format!("waited {limit:?} in vain for {what}"))),
        }
    }
}
