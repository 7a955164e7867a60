//! SIGTERM and SIGINT, made a token that everything else watches.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit status after a second signal: what a shell gives for SIGINT.
const IMPATIENT: i32 = 130;

/// A token that the first signal cancels. The second ends the process at once; nothing is lost by that, only cut.
///
/// # Errors
/// If the handlers cannot be installed.
pub(crate) fn on_signal() -> io::Result<CancellationToken> {
    let mut signals =
        Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("stopping; a second signal stops at once");
        cancelled.cancel();
        signals.next().await;
        std::process::exit(IMPATIENT);
    });
    Ok(token)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
