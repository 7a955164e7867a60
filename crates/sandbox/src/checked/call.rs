//! The call of a handler whose type was checked before. This is one of the two `unsafe` calls of this crate.
//! The other is in `code::deserialize`.

use wasmtime::Store;
use wasmtime::component::{Func, TypedFunc};

use crate::bindings::{Answer, Input};
use crate::guest::Guest;

/// The export `handle` of an instance of a [`Checked`](super::Checked) component.
pub(crate) struct Handle(Func);

impl Handle {
    /// Wraps an export `handle`, whose type must have been checked by
    /// [`Checked::new`](super::Checked::new).
    pub(super) fn of_checked(function: Func) -> Self {
        Self(function)
    }

    #[allow(unsafe_code)]
    pub(crate) async fn call(&self, store: &mut Store<Guest>, event: Input<'_>) -> wasmtime::Result<Answer> {
        // SAFETY: `new_unchecked` wants a function of this very type. `Checked::start` alone makes a
        // `Handle`, of the export whose type `HandlerPre::new` has compared with the same bindings in
        // `Checked::new`. The safe way compares them again for each event, field by field, a twentieth of
        // what the event costs. `tests/hostile/upload.rs` alters the world in one place after the other.
        let function = unsafe { TypedFunc::<(Input<'_>,), (Answer,)>::new_unchecked(self.0) };
        Ok(function.call_async(store, (event,)).await?.0)
    }
}
