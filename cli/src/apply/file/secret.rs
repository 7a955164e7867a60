//! A secret in the file: either the text itself, or the place where it is kept.

use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use floodgate_event::Secret;
use floodgate_event::secret::Unfit;
use serde::Deserialize;
use serde_json::Value;

use floodgate_devkit::files;

/// The largest file that holds a secret, in bytes.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// The place where a secret is kept.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reference {
    Env(String),
    File(PathBuf),
}

/// Replaces `{ env = "VAR" }` and `{ file = "path" }` by the secret at that place. A relative path begins at
/// `folder`.
pub(super) fn resolve(secret: &mut Value, folder: &Path) -> Result<(), SecretError> {
    if secret.is_string() {
        return Ok(());
    }
    // The library's message would quote the value.
    let reference = Reference::deserialize(&*secret).map_err(|_| SecretError::Form)?;
    let read = match reference {
        Reference::Env(name) => {
            let Some(value) = std::env::var_os(&name) else { return Err(SecretError::Variable(name)) };
            Secret::from_line(value.into_vec())
                .map_err(|source| SecretError::UnfitVariable { name, source })?
        }
        Reference::File(path) => {
            let path = folder.join(path);
            match files::read_at_most(&path, MAX_SECRET_FILE) {
                Ok(bytes) => {
                    Secret::from_line(bytes).map_err(|source| SecretError::UnfitFile { path, source })?
                }
                Err(source) => return Err(SecretError::File { path, source }),
            }
        }
    };
    *secret = Value::String(read.expose().to_owned());
    Ok(())
}

/// Why a secret cannot be read. Never quotes one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("a secret is a text, `{{ env = \"VARIABLE\" }}` or `{{ file = \"path\" }}`")]
    Form,
    #[error("the environment variable `{0}` of a secret is not set")]
    Variable(String),
    #[error("the environment variable `{name}`: {source}")]
    UnfitVariable { name: String, source: Unfit },
    #[error("the secret file {}: {source}", path.display())]
    UnfitFile { path: PathBuf, source: Unfit },
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
    fn line_ends_go_and_other_white_space_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let resolved = |text: &[u8]| {
            std::fs::write(folder.path().join("key"), text).unwrap();
            let mut secret = serde_json::json!({"file": "key"});
            resolve(&mut secret, folder.path()).map(|()| secret).map_err(|error| error.to_string())
        };
        for text in ["s3cret", "s3cret\r\n", "s3cret\n\n"] {
            assert_eq!(resolved(text.as_bytes()).unwrap(), "s3cret", "{text:?}");
        }
        for (text, says) in [
            (&b"s3cret "[..], "/key: the secret ends with a space (U+0020): take it out"),
            (
                b"\xef\xbb\xbfs3cret\r\n",
                "/key: the secret begins with a byte order mark (U+FEFF): take it out",
            ),
            (b"s3cret\0", "/key: the secret ends with a NUL (U+0000): take it out"),
            (b"\n", "/key: the secret is empty"),
            (b"s3cret\ns3cret\n", "/key: the secret has a line feed (U+000A) in it: take it out"),
            (&[b's'; 70_000], "/key: more than 65536 bytes"),
        ] {
            let refused = resolved(text).unwrap_err();
            assert!(refused.ends_with(says) && !refused.contains("s3cret"), "{refused}");
        }
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
