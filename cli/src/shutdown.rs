//! Handles signals. SIGTERM and SIGINT cancel a token that everything else watches, and SIGHUP asks for a
//! reload.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The exit status after a second signal, which is a shell's for SIGINT.
const IMPATIENT: i32 = 130;

/// Returns a token that the first signal cancels. The second signal ends the process at once. Nothing that
/// was acknowledged is lost by that.
///
/// # Errors
/// If the handlers cannot be installed.
pub(crate) fn on_signal() -> io::Result<CancellationToken> {
    let signals = [SignalKind::terminate(), SignalKind::interrupt()];
    stop_on(signals.map(signal).into_iter().collect::<io::Result<_>>()?)
}

/// The same for a process that belongs to a terminal. When the terminal goes away, the process stops in
/// order.
///
/// # Errors
/// If the handlers cannot be installed.
pub(crate) fn on_signal_or_hangup() -> io::Result<CancellationToken> {
    let signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    stop_on(signals.map(signal).into_iter().collect::<io::Result<_>>()?)
}

/// Reports each SIGHUP. One that comes while another one waits adds nothing.
///
/// # Errors
/// If the handler cannot be installed.
pub(crate) fn hangups() -> io::Result<mpsc::Receiver<()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            // If the queue is full, the reload that is about to begin reads the files as they are now. If it
            // is closed, the process is stopping, and SIGHUP must not end it sooner.
            let _ = sender.try_send(());
        }
    });
    Ok(receiver)
}

fn stop_on(mut signals: Vec<Signal>) -> io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        any(&mut signals).await;
        tracing::info!("stopping; a second signal stops at once");
        cancelled.cancel();
        any(&mut signals).await;
        std::process::exit(IMPATIENT);
    });
    Ok(token)
}

async fn any(signals: &mut [Signal]) {
    futures::future::select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
}
