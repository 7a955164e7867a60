//! Plans the changes that a file makes. The API says what they are, because it can compare secrets.

use floodgate_api::answer::{Put, Warning};
use floodgate_api::paths::Collection;
use floodgate_api::query::{WaitQuery, WriteQuery};
use floodgate_event::Name;
use serde::Serialize;
use serde_json::Value;

use super::difference::{self, Difference};
use super::file::{File, Object, PUT_ORDER};
use crate::api::{Client, ClientError};
use crate::exit::Failure;
use crate::rollout;

/// The steps that make the configuration what the file says.
pub(crate) struct Plan {
    steps: Vec<Step>,
    /// The revision for which the plan was made.
    revision: u64,
}

/// The change of one object.
#[derive(Serialize)]
pub(crate) struct Step {
    kind: Collection,
    name: Name,
    action: Action,
    difference: Vec<Difference>,
    /// Contains secrets, so it is never shown.
    #[serde(skip)]
    document: Value,
    /// The warnings of the API before anything was changed.
    #[serde(skip)]
    warnings: Vec<Warning>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Create,
    Change,
    Keep,
    Delete,
}

impl Plan {
    /// Asks the API what each object of the file would change. With `prune`, also asks which objects the file
    /// does not name.
    pub(crate) async fn make(api: &Client, file: File, prune: bool) -> Result<Self, ClientError> {
        let mut revision = 0;
        let mut deletions = Vec::new();
        for kind in PUT_ORDER.into_iter().rev() {
            let there = api.names(kind).await?;
            revision = there.revision;
            let unnamed = there.items.into_iter().filter(|item| prune && !file.has(kind, &item.name));
            deletions.extend(unnamed.map(|item| Step::delete(kind, item.name)));
        }
        let mut steps = Vec::new();
        for object in file.objects {
            steps.push(Step::put(api, object).await?);
        }
        steps.extend(deletions);
        Ok(Self { steps, revision })
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns true if the file names this source.
    pub(crate) fn puts_source(&self, name: &str) -> bool {
        self.steps.iter().any(|step| step.puts(Collection::Sources) && step.name.as_str() == name)
    }

    /// Makes the changes, in an order in which every event has a destination: destinations are put before
    /// sources and deleted after them, and each group waits until those before it are in force. Returns the
    /// revision that has all changes. If this fails, the changes that were made stay, and another run makes
    /// the rest.
    pub(crate) async fn apply(&self, api: &Client) -> Result<u64, Failure> {
        let mut revision = self.revision;
        self.take(api, |step| step.puts(Collection::Destinations), &mut revision).await?;
        if self.changes(|step| step.puts(Collection::Sources)) {
            routed(api, revision).await?;
        }
        self.take(api, |step| step.puts(Collection::Sources), &mut revision).await?;
        self.take(api, |step| step.deletes(Collection::Sources), &mut revision).await?;
        if self.changes(|step| step.kind == Collection::Sources)
            && self.changes(|step| step.deletes(Collection::Destinations))
        {
            served(api, revision).await?;
        }
        self.take(api, |step| step.deletes(Collection::Destinations), &mut revision).await?;
        Ok(revision)
    }

    async fn take(
        &self,
        api: &Client,
        which: impl Fn(&Step) -> bool,
        revision: &mut u64,
    ) -> Result<(), ClientError> {
        for step in self.steps.iter().filter(|step| which(step)) {
            if let Some(written) = step.take(api).await? {
                *revision = (*revision).max(written);
            }
        }
        Ok(())
    }

    fn changes(&self, which: impl Fn(&Step) -> bool) -> bool {
        self.steps.iter().any(|step| step.action != Action::Keep && which(step))
    }

    /// Returns the API's warnings, without those that the file itself resolves.
    pub(crate) fn foreseen_warnings(&self) -> Vec<String> {
        let mended = |step: &Step, warning: &Warning| {
            let source = step.document.pointer(&pointer(&warning.path)).and_then(Value::as_str);
            match step.kind {
                Collection::Destinations => source.is_some_and(|name| self.puts_source(name)),
                Collection::Sources => self.changes(|step| step.puts(Collection::Destinations)),
            }
        };
        let of_step = |step: &Step| {
            let standing = step.warnings.iter().filter(|warning| !mended(step, warning));
            standing.map(|warning| step.warning(warning)).collect::<Vec<_>>()
        };
        self.steps.iter().flat_map(of_step).collect()
    }

    /// Returns the warnings that the API still has after all changes.
    pub(crate) async fn standing_warnings(&self, api: &Client) -> Result<Vec<String>, ClientError> {
        let mut standing = Vec::new();
        for step in self.steps.iter().filter(|step| !step.warnings.is_empty()) {
            let foreseen = step.foresee(api).await?;
            standing.extend(foreseen.warnings.iter().map(|warning| step.warning(warning)));
        }
        Ok(standing)
    }

    /// Writes the differences as text.
    pub(crate) fn render(&self) -> String {
        let text: String = self.steps.iter().map(Step::render).collect();
        let kept = self.steps.iter().filter(|step| step.action == Action::Keep).count();
        format!("{text}{} to change, {kept} as they are\n", self.steps.len() - kept)
    }
}

/// Converts a path such as `subscribe.sources[0]` into a JSON pointer.
fn pointer(path: &str) -> String {
    format!("/{}", path.replace(['.', '['], "/").replace(']', ""))
}

async fn routed(api: &Client, revision: u64) -> Result<(), Failure> {
    match rollout::wait_routed(api, revision).await?.is_late() {
        false => Ok(()),
        true => Err(Failure::work(format!(
            "destinations are put, and events are not routed by revision {revision} yet: sources were left as they are, \
             apply again"
        ))),
    }
}

async fn served(api: &Client, revision: u64) -> Result<(), Failure> {
    match rollout::wait(api, revision).await?.shortfall(revision, |_| false) {
        None => Ok(()),
        Some(shortfall) => {
            Err(Failure::work(format!("{shortfall}: no destination was deleted, apply again")))
        }
    }
}

impl Step {
    async fn put(api: &Client, object: Object) -> Result<Self, ClientError> {
        let Object { kind, name, document } = object;
        let mut step =
            Self { kind, name, action: Action::Keep, difference: Vec::new(), document, warnings: Vec::new() };
        let foreseen = step.foresee(api).await?;
        let (before, after) = (foreseen.before.flatten(), foreseen.after.flatten());
        step.action = match (foreseen.changed, &before) {
            (false, _) => Action::Keep,
            (true, None) => Action::Create,
            (true, Some(_)) => Action::Change,
        };
        let view = |view: Option<Value>| view.unwrap_or(Value::Null);
        step.difference = difference::between(&view(before), &view(after));
        step.warnings = foreseen.warnings;
        Ok(step)
    }

    async fn foresee(&self, api: &Client) -> Result<Put<Value>, ClientError> {
        let query = WriteQuery { dry_run: true, wait: false };
        api.put(self.kind, &self.name, &self.document, query).await
    }

    fn delete(kind: Collection, name: Name) -> Self {
        let (action, document) = (Action::Delete, Value::Null);
        Self { kind, name, action, difference: Vec::new(), document, warnings: Vec::new() }
    }

    fn puts(&self, kind: Collection) -> bool {
        self.kind == kind && self.action != Action::Delete
    }

    fn deletes(&self, kind: Collection) -> bool {
        self.kind == kind && self.action == Action::Delete
    }

    /// Puts the object without waiting until that is in force, which is done once for many objects.
    async fn take(&self, api: &Client) -> Result<Option<u64>, ClientError> {
        let Self { kind, name, document, .. } = self;
        match self.action {
            Action::Keep => Ok(None),
            Action::Create | Action::Change => {
                let query = WriteQuery { dry_run: false, wait: false };
                Ok(Some(api.put(*kind, name, document, query).await?.revision))
            }
            Action::Delete => Ok(Some(api.delete(*kind, name, WaitQuery { wait: false }).await?.revision)),
        }
    }

    fn warning(&self, Warning { path, message }: &Warning) -> String {
        let path = if path.is_empty() { String::new() } else { format!(".{path}") };
        format!("{}.{}{path}: {message}", self.kind.as_str(), self.name)
    }

    fn render(&self) -> String {
        let sign = match self.action {
            Action::Keep => return String::new(),
            Action::Create => '+',
            Action::Change => '~',
            Action::Delete => '-',
        };
        let lines: String = self.difference.iter().map(Difference::render).collect();
        format!("{sign} {}.{}\n{lines}", self.kind.as_str(), self.name)
    }
}
