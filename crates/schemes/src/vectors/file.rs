//! Files of vectors, which anyone may have written.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Vector;

/// What became of a vector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The provider, as the file calls it; none if the file does not say.
    pub provider: Option<String>,
    /// What the vector shows; none if the file does not say.
    pub name: Option<String>,
    /// The verdict: `valid` or `invalid`.
    pub result: &'static str,
    /// Why it is invalid: the step that failed and what was expected, or why the vector cannot be used.
    pub reason: Option<String>,
    /// What the file says that the result must be.
    #[serde(skip)]
    pub expect: Option<String>,
}

/// Says of each vector of a file whether it is valid, in the order of the file. A vector that cannot be read
/// holds back no other.
///
/// # Errors
/// If the file is not a list in JSON.
pub fn judge(file: &str) -> Result<impl Iterator<Item = Verdict>, serde_json::Error> {
    let file = file.strip_prefix('\u{feff}').unwrap_or(file);
    let vectors: Vec<&RawValue> = serde_json::from_str(file)?;
    Ok(vectors.into_iter().map(|vector| Verdict::of(vector.get())))
}

/// What is said of a vector that is otherwise not one. Each may be something else than a text.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Label<'a> {
    #[serde(borrow)]
    provider: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    expect: Option<&'a RawValue>,
}

impl Verdict {
    fn of(text: &str) -> Self {
        let verified = match serde_json::from_str::<Vector>(text) {
            Ok(vector) => vector.verify(),
            Err(error) => Err(format!("the vector cannot be read: {}", unquoted(&error))),
        };
        let label: Label<'_> = serde_json::from_str(text).unwrap_or_default();
        let text = |value: Option<&RawValue>| serde_json::from_str(value?.get()).ok();
        Self {
            provider: text(label.provider),
            name: text(label.name),
            result: if verified.is_ok() { "valid" } else { "invalid" },
            reason: verified.err(),
            expect: text(label.expect),
        }
    }

    /// Returns true if the file says what the result must be, and it is not.
    pub fn differs(&self) -> bool {
        self.expect.as_ref().is_some_and(|expected| expected != self.result)
    }
}

/// What is wrong with a vector, without the values that serde quotes: one may be a secret in a wrong place.
fn unquoted(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("missing field") || text.starts_with("duplicate field") {
        return text;
    }
    let (line, column) = (error.line(), error.column());
    format!("a value at line {line}, column {column} is not what belongs there")
}
