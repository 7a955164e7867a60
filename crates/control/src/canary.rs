//! Advances canaries from step to step by what the gateways of all regions report of them, or rolls them
//! back. Each decision is a change of the configuration, so that a crash delays a step and loses none.

use std::sync::Arc;
use std::time::Duration;

use floodgate_clock::Clock;
use floodgate_event::Name;
use floodgate_event::causes::chain;
use floodgate_event::report::TrialTally;
use floodgate_event::rollout::TrialKind;
use futures::future::join_all;
use tokio::sync::watch;

use super::configuration::{Budget, Configuration, Rollout};
use super::regions::{RegionProbe, Reports};
use super::rollout::RolloutId;
use super::store::Store;

/// How often reports are read while there is a canary. Gateways write theirs every 5 s.
const ROUND: Duration = Duration::from_secs(2);
/// A tried version that takes less than this per event is never too slow: below it the machine's noise
/// decides.
const NEVER_SLOW_US: u64 = 1_000;

/// Decides about all canaries, round by round.
pub(crate) struct Controller {
    pub(crate) store: Arc<Store>,
    pub(crate) regions: Vec<RegionProbe>,
    /// True in the one relay that decides.
    pub(crate) may_write: watch::Receiver<bool>,
    /// The clock that measures how long a step has lasted.
    pub(crate) clock: Clock,
}

/// What gateways report of a canary's present step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Observed {
    /// The sum over all gateways that report the step.
    tally: TrialTally,
    /// True if every region answers and all of its gateways serve the step.
    everywhere: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Decision {
    Wait,
    Advance,
    GiveUp(String),
}

impl Controller {
    /// Runs for as long as it is polled.
    pub(crate) async fn run(mut self) {
        while self.may_write.wait_for(|may| *may).await.is_ok() {
            self.clock.agreed().await;
            let configuration = self.store.latest();
            let canaries = canaries(&configuration);
            if !canaries.is_empty() {
                let reports = join_all(self.regions.iter().map(RegionProbe::reports)).await;
                for canary in canaries {
                    self.judge(&canary, &reports).await;
                }
            }
            tokio::time::sleep(ROUND).await;
        }
    }

    async fn judge(&self, canary: &Canary, reports: &[Option<Reports>]) {
        let Canary { at, rollout, .. } = canary;
        let observed = observe(canary, reports);
        let now = self.clock.now_us();
        let decision = decide(rollout, &observed, now);
        if decision == Decision::Wait {
            return;
        }
        let (handler, version, tally) = (&at.handler, rollout.version, observed.tally);
        let moved = self.store.change(|all| {
            match &decision {
                Decision::Wait => {}
                Decision::Advance => all.advance(at, tally, now),
                Decision::GiveUp(reason) => all.give_up(at, reason, tally, now),
            }
            Ok(())
        });
        match (moved.await, decision) {
            (Ok(_), Decision::GiveUp(reason)) => {
                tracing::warn!(%handler, version, reason, "canary rolled back");
            }
            (Ok(_), _) => tracing::info!(%handler, version, step = rollout.step, "canary passed a step"),
            // The next round tries again.
            (Err(error), _) => tracing::error!(%handler, version, error = chain(&error), "canary not moved"),
        }
    }
}

/// A canary, with what a decision about it needs.
struct Canary {
    at: RolloutId,
    rollout: Rollout,
    /// The sources that bind the handler.
    sources: Vec<Name>,
}

fn canaries(configuration: &Configuration) -> Vec<Canary> {
    let rollouts = configuration.handlers.iter().filter_map(|(name, handler)| {
        let rollout = handler.rollout.clone().filter(|rollout| rollout.kind == TrialKind::Canary)?;
        let sources = configuration.bindings(name).map(|(source, _)| source.clone()).collect();
        Some(Canary { at: RolloutId { handler: name.clone(), id: rollout.id }, rollout, sources })
    });
    rollouts.collect()
}

fn observe(canary: &Canary, regions: &[Option<Reports>]) -> Observed {
    let Canary { at, sources, .. } = canary;
    let mut tally = TrialTally::default();
    let gateways = regions.iter().flatten().flat_map(|reports| &reports.gateways);
    for trial in gateways.flat_map(|gateway| &gateway.report.trials) {
        if trial.name == at.handler && trial.id == at.id {
            tally += trial.tally;
        }
    }
    // A source that a gateway refuses is served as it was before, perhaps without this version.
    let serves = |reports: &Reports| {
        reports.serving().is_some_and(|revision| revision >= at.id)
            && !reports.fresh().flat_map(|gateway| &gateway.refused).any(|no| sources.contains(&no.source))
    };
    Observed { tally, everywhere: regions.iter().all(|region| region.as_ref().is_some_and(serves)) }
}

fn decide(rollout: &Rollout, observed: &Observed, now_us: u64) -> Decision {
    if let Some(reason) = over_budget(&rollout.budget, &observed.tally) {
        return Decision::GiveUp(reason);
    }
    let step_us = u64::from(rollout.step_seconds) * 1_000_000;
    let lasted = now_us.saturating_sub(rollout.step_began_us) >= step_us;
    let seen_enough = observed.tally.events >= rollout.budget.min_events;
    if lasted && seen_enough && observed.everywhere { Decision::Advance } else { Decision::Wait }
}

/// Says what is over the budget. The counts of few events are compared with the fewest events that a step
/// needs, so that one failure among three is not a third.
fn over_budget(budget: &Budget, tally: &TrialTally) -> Option<String> {
    let whole = tally.events.max(budget.min_events);
    let TrialTally { events, faults, differences, tried_us, promoted_us } = *tally;
    if budget.faults_percent.is_exceeded(faults, whole) {
        let most = budget.faults_percent;
        return Some(format!(
            "failed on {faults} of {events} events that the promoted version can do; at most {most}"
        ));
    }
    if let Some(most) = budget.differences_percent.filter(|most| most.is_exceeded(differences, whole)) {
        return Some(format!("decided otherwise on {differences} of {events} events; at most {most}"));
    }
    let slower = budget.slower_percent.filter(|_| events >= budget.min_events)?;
    let (tried, promoted) = (tried_us / events.max(1), promoted_us / events.max(1));
    let most = u128::from(promoted_us) * (100 + u128::from(slower)) / 100;
    (tried >= NEVER_SLOW_US && u128::from(tried_us) > most).then(|| {
        format!(
            "took {tried} µs an event where the promoted version takes {promoted}; at most {slower} % more"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout() -> Rollout {
        let text = r#"{"kind": "canary", "version": 2, "id": 7, "steps": [1, 50], "step": 0, "step_began_us": 0,
            "step_seconds": 10, "budget": {"differences_percent": 5, "min_events": 100}}"#;
        serde_json::from_str(text).unwrap()
    }

    fn decision(now_us: u64, change: impl FnOnce(&mut Observed)) -> Decision {
        let tally = TrialTally { events: 100, tried_us: 1_000, promoted_us: 1_000, ..TrialTally::default() };
        let mut observed = Observed { tally, everywhere: true };
        change(&mut observed);
        decide(&rollout(), &observed, now_us)
    }

    const LATER: u64 = 10_000_000;

    #[test]
    fn a_step_needs_time_events_and_every_region() {
        assert_eq!(decision(LATER, |_| {}), Decision::Advance);
        assert_eq!(decision(LATER - 1, |_| {}), Decision::Wait);
        assert_eq!(decision(LATER, |seen| seen.tally.events = 99), Decision::Wait);
        assert_eq!(decision(LATER, |seen| seen.everywhere = false), Decision::Wait);
        assert_eq!(decision(0, |seen| *seen = Observed::default()), Decision::Wait);
    }

    #[test]
    fn whatever_goes_over_the_budget_ends_it_at_once() {
        let gave_up = |change: fn(&mut Observed)| match decision(0, change) {
            Decision::GiveUp(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(decision(0, |seen| seen.tally.faults = 1), Decision::Wait);
        assert!(gave_up(|seen| seen.tally.faults = 2).starts_with("failed on 2 of 100 events"));
        let early = gave_up(|seen| seen.tally = TrialTally { events: 2, faults: 2, ..TrialTally::default() });
        assert!(early.contains("2 of 2"), "{early}");
        assert!(gave_up(|seen| seen.tally.differences = 6).contains("6 of 100 events; at most 5 %"));
        assert_eq!(decision(0, |seen| seen.tally.tried_us = 99_000), Decision::Wait, "too fast to be slow");
        let slow = gave_up(|seen| (seen.tally.tried_us, seen.tally.promoted_us) = (210_000, 100_000));
        assert_eq!(slow, "took 2100 µs an event where the promoted version takes 1000; at most 100 % more");
    }

    #[test]
    fn without_a_budget_for_it_nothing_is_too_slow_or_too_different() {
        let mut free = rollout();
        (free.budget.differences_percent, free.budget.slower_percent) = (None, None);
        let tally =
            TrialTally { events: 100, differences: 100, tried_us: 9_000_000, ..TrialTally::default() };
        assert_eq!(decide(&free, &Observed { tally, everywhere: true }, LATER), Decision::Advance);
    }
}
