//! What applying a file changes: asked of the API, which compares secrets where they can be opened.

use floodgate_api::answer::{Listed, Put, Removed, Warning};
use floodgate_event::Name;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::difference::{self, Difference};
use super::file::{Kind, Object, Wanted};
use crate::api::{Client, ClientError};
use crate::exit::Failure;
use crate::rollout;

/// The steps, in order, and what they take.
pub(crate) struct Plan {
    steps: Vec<Step>,
    /// The revision when the plan was made.
    revision: u64,
}

/// What happens to one object.
#[derive(Serialize)]
pub(crate) struct Step {
    kind: Kind,
    name: Name,
    action: Action,
    difference: Vec<Difference>,
    /// Holds secrets, and so is never shown.
    #[serde(skip)]
    document: Value,
    /// What the API warned of before anything was done.
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

/// An object of a list, by its name; its kind decides what else there is of it.
#[derive(Deserialize)]
struct Named {
    name: Name,
}

impl Plan {
    /// Asks what each object of the file would change, and with `prune` which objects the file does not name.
    pub(crate) async fn make(api: &Client, wanted: Wanted, prune: bool) -> Result<Self, ClientError> {
        let mut revision = 0;
        let mut deletions = Vec::new();
        for kind in Kind::ALL.into_iter().rev() {
            let there: Listed<Named> = api.get(&[kind.as_str()]).await?;
            revision = there.revision;
            let unnamed = there.items.into_iter().filter(|item| prune && !wanted.has(kind, &item.name));
            deletions.extend(unnamed.map(|item| Step::delete(kind, item.name)));
        }
        let mut steps = Vec::new();
        for object in wanted.0 {
            steps.push(Step::put(api, object).await?);
        }
        steps.extend(deletions);
        Ok(Self { steps, revision })
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether the file names this source.
    pub(crate) fn puts_source(&self, name: &str) -> bool {
        self.steps.iter().any(|step| step.puts(Kind::Sources) && step.name.as_str() == name)
    }

    /// Takes the steps that change something, in an order in which no event comes before its destination
    /// or after it: destinations are put before sources, and deleted after them, and each waits until
    /// those before are in force. Answers with the revision that holds them all.
    /// What was done before a failure stays; applying again does the rest.
    pub(crate) async fn apply(&self, api: &Client) -> Result<u64, Failure> {
        let mut revision = self.revision;
        self.take(api, |step| step.puts(Kind::Destinations), &mut revision).await?;
        if self.changes(|step| step.puts(Kind::Sources)) {
            routed(api, revision).await?;
        }
        self.take(api, |step| step.puts(Kind::Sources), &mut revision).await?;
        self.take(api, |step| step.deletes(Kind::Sources), &mut revision).await?;
        if self.changes(|step| step.kind == Kind::Sources)
            && self.changes(|step| step.deletes(Kind::Destinations))
        {
            served(api, revision).await?;
        }
        self.take(api, |step| step.deletes(Kind::Destinations), &mut revision).await?;
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

    /// What the API warns of, less what the file itself mends.
    pub(crate) fn foreseen_warnings(&self) -> Vec<String> {
        let mended = |step: &Step, warning: &Warning| {
            let source = step.document.pointer(&pointer(&warning.path)).and_then(Value::as_str);
            match step.kind {
                Kind::Destinations => source.is_some_and(|name| self.puts_source(name)),
                Kind::Sources => self.changes(|step| step.puts(Kind::Destinations)),
            }
        };
        let of_step = |step: &Step| {
            let standing = step.warnings.iter().filter(|warning| !mended(step, warning));
            standing.map(|warning| step.warning(warning)).collect::<Vec<_>>()
        };
        self.steps.iter().flat_map(of_step).collect()
    }

    /// What the API still warns of now that all is done.
    pub(crate) async fn standing_warnings(&self, api: &Client) -> Result<Vec<String>, ClientError> {
        let mut standing = Vec::new();
        for step in self.steps.iter().filter(|step| !step.warnings.is_empty()) {
            let foreseen = step.foresee(api).await?;
            standing.extend(foreseen.warnings.iter().map(|warning| step.warning(warning)));
        }
        Ok(standing)
    }

    /// The difference as text.
    pub(crate) fn render(&self) -> String {
        let text: String = self.steps.iter().map(Step::render).collect();
        let kept = self.steps.iter().filter(|step| step.action == Action::Keep).count();
        format!("{text}{} to change, {kept} as they are\n", self.steps.len() - kept)
    }
}

/// `subscribe.sources[0]` as a JSON pointer.
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
        api.put(&[self.kind.as_str(), &self.name], &self.document, "dry_run=true").await
    }

    fn delete(kind: Kind, name: Name) -> Self {
        let (action, document) = (Action::Delete, Value::Null);
        Self { kind, name, action, difference: Vec::new(), document, warnings: Vec::new() }
    }

    fn puts(&self, kind: Kind) -> bool {
        self.kind == kind && self.action != Action::Delete
    }

    fn deletes(&self, kind: Kind) -> bool {
        self.kind == kind && self.action == Action::Delete
    }

    /// The answer is not waited for to be in force: that is done once for many.
    async fn take(&self, api: &Client) -> Result<Option<u64>, ClientError> {
        let path = [self.kind.as_str(), self.name.as_str()];
        match self.action {
            Action::Keep => Ok(None),
            Action::Create | Action::Change => {
                let put: Put<Value> = api.put(&path, &self.document, "wait=false").await?;
                Ok(Some(put.revision))
            }
            Action::Delete => {
                let removed: Removed = api.delete_with(&path, "wait=false").await?;
                Ok(Some(removed.revision))
            }
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
