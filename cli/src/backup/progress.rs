//! Shows the progress of a transfer on a terminal.

use floodgate_backup::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar for each stream in turn. It is not shown in a pipe.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(0);
        // A template that does not parse leaves the default style.
        if let Ok(style) = ProgressStyle::with_template("{msg:28} {bar:30} {bytes}/{total_bytes} {eta} left")
        {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn begins(&mut self, stream: &str, bytes: u64) {
        self.0.set_message(stream.to_owned());
        self.0.set_length(bytes);
        self.0.set_position(0);
    }

    fn moved(&mut self, bytes: u64) {
        self.0.inc(bytes);
    }
}
