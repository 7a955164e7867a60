//! A secret in the file: the text itself, or where it is kept.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// The largest file that holds a secret, in bytes.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// Where a secret is kept.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kept {
    Env(String),
    File(PathBuf),
}

/// Replaces `{ env = "VAR" }` and `{ file = "path" }` by what stands there. A relative path begins at `folder`.
pub(super) fn resolve(secret: &mut Value, folder: &Path) -> Result<(), SecretError> {
    if secret.is_string() {
        return Ok(());
    }
    // The library's message would quote what it found.
    let kept = Kept::deserialize(&*secret).map_err(|_| SecretError::Form)?;
    *secret = Value::String(match kept {
        Kept::Env(name) => std::env::var(&name).map_err(|_| SecretError::Variable(name))?,
        Kept::File(path) => {
            let path = folder.join(path);
            read(&path).map_err(|source| SecretError::File { path, source })?
        }
    });
    Ok(())
}

/// Without the newline that editors put at a file's end.
fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_SECRET_FILE).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Why a secret is not there. Never quotes one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("a secret is a text, `{{ env = \"VARIABLE\" }}` or `{{ file = \"path\" }}`")]
    Form,
    #[error("the environment variable `{0}` of a secret is not set, or not text")]
    Variable(String),
    #[error("cannot read the secret file {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_from_beside_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "s3cret\n").unwrap();
        let mut secret = serde_json::json!({"file": "key"});
        resolve(&mut secret, folder.path()).unwrap();
        assert_eq!(secret, "s3cret");
    }

    #[test]
    fn other_forms_are_refused() {
        for other in
            [serde_json::json!(5), serde_json::json!({"env": "A", "file": "b"}), serde_json::json!({})]
        {
            assert!(matches!(resolve(&mut other.clone(), Path::new("")), Err(SecretError::Form)), "{other}");
        }
    }
}
