//! Makes a component of a core module.

use std::error::Error;
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// The world that the templates are built for.
const WORLD: &str = "guest";

/// The component of a module whose imports and exports are those of the world `guest` in the folder `wit`.
///
/// # Errors
/// If the folder has no such world, or the module is none for it.
pub(super) fn encode(mut module: Vec<u8>, wit: &Path) -> Result<Vec<u8>, EncodeError> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit).map_err(|error| EncodeError::Wit(error.into()))?;
    let world =
        resolve.select_world(&[package], Some(WORLD)).map_err(|error| EncodeError::Wit(error.into()))?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .map_err(|error| EncodeError::Wit(error.into()))?;
    let mut encoder = ComponentEncoder::default();
    let encoded = encoder.validate(true).module(&module).and_then(|encoder| encoder.encode());
    encoded.map_err(|error| EncodeError::Module(error.into()))
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The folder `wit` is malformed, or lacks the world.
    #[error("the folder `wit` does not describe the world `{WORLD}`")]
    Wit(#[source] Box<dyn Error + Send + Sync>),
    /// The module imports or exports something else than the world.
    #[error("it may call nothing but what wit/guest.wit imports: no files, no clock, no standard output")]
    Module(#[source] Box<dyn Error + Send + Sync>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template;

    #[test]
    fn a_module_without_the_world_s_exports_is_refused() {
        let wit = tempfile::tempdir().unwrap();
        for (file, text) in template::WIT {
            std::fs::write(wit.path().join(Path::new(file).file_name().unwrap()), text).unwrap();
        }
        let error = encode(b"\0asm\x01\0\0\0".to_vec(), wit.path()).unwrap_err();
        assert!(matches!(error, EncodeError::Module(_)), "{error:?}");
        assert!(format!("{error:?}").contains("handle"), "{error:?}");
    }
}
