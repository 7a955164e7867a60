//! Changes of the version that a handler runs, as pure functions: promotions, shadows and canaries.

use floodgate_api::document::{CanaryDocument, ShadowDocument};
use floodgate_event::Name;
use floodgate_event::report::TrialTally;
use floodgate_event::rollout::TrialKind;

use super::change::{Kind, Refused, found, no_version};
use super::configuration::{Budget, Conclusion, Configuration, Handler, Rollout};

/// The step of a rollout that a decision is about. The decision does not touch a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RolloutId {
    pub(crate) handler: Name,
    pub(crate) id: u64,
}

impl Configuration {
    /// Promotes a version, and ends a rollout that is under way.
    pub(crate) fn promote(&mut self, name: &Name, version: u32, now_us: u64) -> Result<(), Refused> {
        let handler = self.handler_with(name, version)?;
        let reason = format!("version {version} was promoted by hand");
        handler.conclude(Conclusion::Stopped, reason, TrialTally::default(), now_us);
        handler.promote(version);
        Ok(())
    }

    /// Ends the rollout that is under way. If there is none, promotes the version that was promoted before.
    /// Returns the promoted version.
    pub(crate) fn roll_back(&mut self, name: &Name, now_us: u64) -> Result<u32, Refused> {
        let handler = found(self.handlers.get_mut(name), Kind::Handler, name)?;
        if handler.rollout.is_some() {
            handler.conclude(Conclusion::RolledBack, "rolled back by hand", TrialTally::default(), now_us);
            return Ok(handler.promoted);
        }
        handler.roll_back().ok_or_else(|| Refused::NoPreviousVersion(name.clone()))
    }

    /// Runs a version beside the promoted one, without effect on events.
    pub(crate) fn shadow(
        &mut self,
        name: &Name,
        document: &ShadowDocument,
        now_us: u64,
    ) -> Result<(), Refused> {
        let rollout = Rollout {
            kind: TrialKind::Shadow,
            version: document.version.get(),
            id: self.revision + 1,
            steps: vec![document.percent],
            step: 0,
            step_began_us: now_us,
            step_seconds: 0,
            budget: Budget::default(),
        };
        self.begin_rollout(name, rollout, now_us)
    }

    /// Runs a version in place of the promoted one for a share of the events, which grows step by step.
    pub(crate) fn canary(
        &mut self,
        name: &Name,
        document: &CanaryDocument,
        now_us: u64,
    ) -> Result<(), Refused> {
        let rollout = Rollout {
            kind: TrialKind::Canary,
            version: document.version.get(),
            id: self.revision + 1,
            steps: document.steps_percent.clone(),
            step: 0,
            step_began_us: now_us,
            step_seconds: document.step_seconds,
            budget: document.budget,
        };
        self.begin_rollout(name, rollout, now_us)
    }

    fn begin_rollout(&mut self, name: &Name, rollout: Rollout, now_us: u64) -> Result<(), Refused> {
        let version = rollout.version;
        let handler = self.handler_with(name, version)?;
        if handler.promoted == version {
            return Err(Refused::AlreadyPromoted { handler: name.clone(), version });
        }
        let reason = format!("a {} of version {version} took its place", rollout.kind.as_str());
        handler.conclude(Conclusion::Stopped, reason, TrialTally::default(), now_us);
        handler.rollout = Some(rollout);
        Ok(())
    }

    /// Ends the rollout that is under way. The promoted version stays.
    pub(crate) fn stop_rollout(&mut self, name: &Name, now_us: u64) -> Result<(), Refused> {
        let handler = found(self.handlers.get_mut(name), Kind::Handler, name)?;
        handler.conclude(Conclusion::Stopped, "stopped by hand", TrialTally::default(), now_us);
        Ok(())
    }

    /// Advances a canary to its next step, or promotes its version after the last.
    pub(crate) fn advance(&mut self, at: &RolloutId, tally: TrialTally, now_us: u64) {
        let id = self.revision + 1;
        let Some((handler, rollout)) = self.under_way(at) else { return };
        if rollout.is_last_step() {
            let version = rollout.version;
            handler.conclude(Conclusion::Promoted, "every step was within its budget", tally, now_us);
            handler.promote(version);
        } else if let Some(rollout) = &mut handler.rollout {
            (rollout.step, rollout.step_began_us, rollout.id) = (rollout.step + 1, now_us, id);
        }
    }

    /// Rolls back a canary that went over its budget.
    pub(crate) fn give_up(&mut self, at: &RolloutId, reason: &str, tally: TrialTally, now_us: u64) {
        if let Some((handler, _)) = self.under_way(at) {
            handler.conclude(Conclusion::RolledBack, reason, tally, now_us);
        }
    }

    fn under_way(&mut self, at: &RolloutId) -> Option<(&mut Handler, Rollout)> {
        let handler = self.handlers.get_mut(&at.handler)?;
        let rollout = handler.rollout.clone().filter(|rollout| rollout.id == at.id)?;
        Some((handler, rollout))
    }

    fn handler_with(&mut self, name: &Name, version: u32) -> Result<&mut Handler, Refused> {
        let handler = found(self.handlers.get_mut(name), Kind::Handler, name)?;
        if handler.version(version).is_none() {
            return Err(no_version("version", name, version).into());
        }
        Ok(handler)
    }
}

#[cfg(test)]
mod tests {
    use floodgate_event::Digest256;

    use super::*;
    use floodgate_api::document::read_json;

    fn redact() -> Name {
        "redact".parse().unwrap()
    }

    fn configuration() -> Configuration {
        let mut configuration = Configuration { revision: 6, ..Configuration::default() };
        for bytes in [b"1", b"2", b"3"] {
            configuration.add_version(&redact(), Digest256::of(bytes), 1, 0).unwrap();
        }
        configuration
    }

    fn canary(configuration: &mut Configuration) -> RolloutId {
        let document = read_json(br#"{"version": 2, "steps_percent": [1, 10]}"#).unwrap();
        configuration.canary(&redact(), &document, 5).unwrap();
        configuration.revision += 1;
        at(configuration)
    }

    fn at(configuration: &Configuration) -> RolloutId {
        let id = configuration.handlers[&redact()].trial_id().unwrap();
        RolloutId { handler: redact(), id }
    }

    #[test]
    fn promotions_are_taken_back_one_after_the_other() {
        let mut configuration = configuration();
        for version in [2, 2, 3] {
            configuration.promote(&redact(), version, 0).unwrap();
        }
        assert_eq!(configuration.roll_back(&redact(), 0), Ok(2));
        assert_eq!(configuration.roll_back(&redact(), 0), Ok(1));
        assert_eq!(configuration.roll_back(&redact(), 0), Err(Refused::NoPreviousVersion(redact())));
        canary(&mut configuration);
        assert_eq!(configuration.roll_back(&redact(), 0), Ok(1), "what is tried goes first");
        assert_eq!(configuration.handlers[&redact()].rollout, None);
    }

    #[test]
    fn a_canary_that_passes_every_step_is_promoted() {
        let mut configuration = configuration();
        let first = canary(&mut configuration);
        configuration.advance(&first, TrialTally::default(), 9);
        configuration.revision += 1;
        let second = at(&configuration);
        assert_ne!(first, second, "a step has counts of its own");
        configuration.advance(&first, TrialTally::default(), 9);
        assert_eq!(at(&configuration), second, "a decision about an earlier step does nothing");
        configuration.advance(&second, TrialTally { events: 3, ..TrialTally::default() }, 9);
        let handler = &configuration.handlers[&redact()];
        assert_eq!((handler.promoted, &handler.rollout, &handler.history[..]), (2, &None, &[1][..]));
        let concluded = handler.concluded.as_ref().unwrap();
        assert_eq!((concluded.conclusion, concluded.tally.events), (Conclusion::Promoted, 3));
    }

    #[test]
    fn a_canary_over_its_budget_leaves_what_was_promoted() {
        let mut configuration = configuration();
        let at = canary(&mut configuration);
        configuration.give_up(&at, "failed", TrialTally::default(), 9);
        let handler = &configuration.handlers[&redact()];
        assert_eq!((handler.promoted, &handler.rollout), (1, &None));
        assert_eq!(handler.concluded.as_ref().unwrap().reason, "failed");
    }

    #[test]
    fn a_change_by_hand_ends_what_is_tried() {
        let mut configuration = configuration();
        canary(&mut configuration);
        configuration.promote(&redact(), 3, 0).unwrap();
        assert_eq!(configuration.handlers[&redact()].rollout, None);
        let shadow = read_json(br#"{"version": 3, "percent": 5}"#).unwrap();
        let refused = configuration.shadow(&redact(), &shadow, 0);
        assert_eq!(refused, Err(Refused::AlreadyPromoted { handler: redact(), version: 3 }));
    }

    #[test]
    fn documents_are_checked() {
        for (bad, message) in [
            (r#"{"version": 2, "steps_percent": []}"#, "`steps_percent`: expected at least one share"),
            (r#"{"version": 2, "steps_percent": [5, 5]}"#, "each larger than the last"),
            (r#"{"version": 2, "steps_percent": [0]}"#, "expected a percentage of 0.01 to 100"),
            (r#"{"version": 2, "step_seconds": 0}"#, "`step_seconds`: 0 is out of range"),
            (r#"{"version": 2, "budget": {"fault_percent": 1}}"#, "unknown field `fault_percent`"),
            (r#"{"version": 2, "budget": {"min_events": 0}}"#, "`budget.min_events`"),
        ] {
            let error = read_json::<CanaryDocument>(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(message), "{bad}: {error}");
        }
    }
}
