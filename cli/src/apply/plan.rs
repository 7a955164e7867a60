//! What applying a file changes: asked of the API, which compares secrets where they can be opened.

use floodgate_event::Name;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::difference::{self, Difference};
use super::file::{Kind, Object, Wanted};
use crate::api::{Api, ApiError};

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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Create,
    Change,
    Keep,
    Delete,
}

/// What a `PUT` or `DELETE` answers.
#[derive(Deserialize)]
struct Written {
    revision: u64,
}

/// What a `PUT` with `dry_run` answers.
#[derive(Deserialize)]
struct Foreseen {
    changed: bool,
    before: Option<Value>,
    after: Option<Value>,
}

#[derive(Deserialize)]
struct Listed {
    revision: u64,
    items: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: Name,
}

impl Plan {
    /// Asks what each object of the file would change, and with `prune` which objects the file does not name.
    pub(crate) async fn make(api: &Api, wanted: Wanted, prune: bool) -> Result<Self, ApiError> {
        let mut revision = 0;
        let mut deletions = Vec::new();
        for kind in Kind::ALL {
            let there: Listed = api.get(&[kind.as_str()]).await?;
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

    /// Takes the steps that change something. Answers with the revision that holds them all. What was done before a
    /// failure stays; applying again does the rest.
    pub(crate) async fn apply(&self, api: &Api) -> Result<u64, ApiError> {
        let mut revision = self.revision;
        for step in &self.steps {
            if let Some(written) = step.take(api).await? {
                revision = revision.max(written.revision);
            }
        }
        Ok(revision)
    }

    /// The difference as text.
    pub(crate) fn render(&self) -> String {
        let text: String = self.steps.iter().map(Step::render).collect();
        let kept = self.steps.iter().filter(|step| step.action == Action::Keep).count();
        format!("{text}{} to change, {kept} as they are\n", self.steps.len() - kept)
    }
}

impl Step {
    async fn put(api: &Api, object: Object) -> Result<Self, ApiError> {
        let Object { kind, name, document } = object;
        let foreseen: Foreseen = api.put(&[kind.as_str(), &name], &document, true).await?;
        let action = match (foreseen.changed, &foreseen.before) {
            (false, _) => Action::Keep,
            (true, None) => Action::Create,
            (true, Some(_)) => Action::Change,
        };
        let view = |view: Option<Value>| view.unwrap_or(Value::Null);
        let difference = difference::between(&view(foreseen.before), &view(foreseen.after));
        Ok(Self { kind, name, action, difference, document })
    }

    fn delete(kind: Kind, name: Name) -> Self {
        Self { kind, name, action: Action::Delete, difference: Vec::new(), document: Value::Null }
    }

    async fn take(&self, api: &Api) -> Result<Option<Written>, ApiError> {
        let path = [self.kind.as_str(), self.name.as_str()];
        match self.action {
            Action::Keep => Ok(None),
            Action::Create | Action::Change => api.put(&path, &self.document, false).await.map(Some),
            Action::Delete => api.delete(&path).await.map(Some),
        }
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
