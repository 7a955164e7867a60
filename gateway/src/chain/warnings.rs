//! Limits what the log says about a version that fails: neither a guest nor its senders may fill the log.

use std::sync::atomic::{AtomicU64, Ordering};

use floodgate_event::LogRate;
use floodgate_sandbox::{Fault, FaultKind};

use super::version_id::VersionId;

/// The lines about one version that were written, and those that were left out.
#[derive(Debug, Default)]
pub(crate) struct FaultLog {
    faults: LogRate,
    openings: LogRate,
    /// Events that an open breaker refused. They get no lines of their own: the line about the breaker says
    /// why.
    skipped: AtomicU64,
    /// Lines of the handler itself beyond what it may log.
    lines: AtomicU64,
}

impl FaultLog {
    /// Logs that a run failed, or counts that the breaker refused it.
    pub(crate) fn failed(&self, id: &VersionId, source: &str, event: &str, fault: &Fault) {
        if fault.kind() == FaultKind::Breaker {
            self.skipped.fetch_add(1, Ordering::Relaxed);
        } else if let Some(left_out) = self.faults.admit() {
            tracing::warn!(
                handler = id.name.as_str(),
                version = id.version,
                source,
                event,
                kind = fault.kind().as_str(),
                fault = fault.message(),
                left_out,
                "handler failed"
            );
        }
    }

    /// Logs that the breaker of a version opened.
    pub(crate) fn opened(&self, id: &VersionId) {
        if let Some(left_out) = self.openings.admit() {
            tracing::error!(
                handler = id.name.as_str(),
                version = id.version,
                left_out,
                "not run for a while: it failed on every event"
            );
        }
    }

    /// Counts lines of the handler that are left out.
    pub(crate) fn left_out(&self, lines: u64) {
        self.lines.fetch_add(lines, Ordering::Relaxed);
    }

    /// Reports how many lines were left out since the last report.
    pub(crate) fn report_suppressed(&self, id: &VersionId) {
        let (faults, openings) = (self.faults.take_left_out(), self.openings.take_left_out());
        let [skipped, lines] = [&self.skipped, &self.lines].map(|count| count.swap(0, Ordering::Relaxed));
        if [faults, openings, skipped, lines].iter().any(|count| *count > 0) {
            tracing::warn!(
                handler = id.name.as_str(),
                version = id.version,
                faults,
                openings,
                skipped,
                lines,
                "left out of the log: more failures, openings of the breaker, events it kept away, lines of the handler"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};

    use floodgate_event::Digest256;
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// The numbers of the lines that were written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<HashMap<&'static str, u64>>>>);

    #[derive(Default)]
    struct Numbers(HashMap<&'static str, u64>);

    impl Visit for Numbers {
        fn record_u64(&mut self, field: &Field, value: u64) {
            self.0.insert(field.name(), value);
        }

        fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
    }

    impl Subscriber for Written {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut numbers = Numbers::default();
            event.record(&mut numbers);
            self.0.lock().unwrap().push(numbers.0);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn two_thousand_failures_are_a_few_lines_that_say_how_many_there_were() {
        let written = Written::default();
        let id =
            VersionId { name: "panics".parse().unwrap(), version: 1, digest: Digest256::from_bytes([1; 32]) };
        tracing::subscriber::with_default(written.clone(), || {
            let log = FaultLog::default();
            for number in 0..2_000 {
                let kind = if number < 20 { FaultKind::Trap } else { FaultKind::Breaker };
                log.failed(&id, "orders", "evt_1", &Fault::new(kind, "no"));
            }
            log.left_out(7);
            log.report_suppressed(&id);
            log.report_suppressed(&id);
        });
        let lines = written.0.lock().unwrap();
        assert!(lines.len() < 10, "{}", lines.len());
        let sum = |name| lines.iter().filter_map(|line| line.get(name)).sum::<u64>();
        let failed = lines.iter().filter(|line| line.contains_key("left_out")).count() as u64;
        assert_eq!((failed + sum("left_out") + sum("faults"), sum("skipped"), sum("lines")), (20, 1_980, 7));
    }
}
