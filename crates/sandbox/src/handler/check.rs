//! Asking a handler whether it can use its parameters.

use super::Handler;
use crate::context::Context;
use crate::contract::CHECK;
use crate::fault::{Fault, FaultKind};
use crate::meter::{self, Meter};

/// What `check` answers.
type Answer = Result<(), String>;

impl Handler {
    /// Calls `check` of a handler that has it, under the limits of a run; any other takes all parameters.
    ///
    /// # Errors
    /// A fault of kind `error` is the handler's own answer; another says that it failed to give one.
    pub async fn check_params(&self, params: &str) -> Result<(), Fault> {
        let meter = Meter::new(self.limits.deadline(), true);
        let mut store = self.store(self.limits, Context::default(), &meter);
        let call = async {
            let instance = self.component.instantiate(&mut store).await?;
            let Some(index) = instance.get_export_index(&mut store, None, CHECK) else { return Ok(Ok(())) };
            let check = instance.get_typed_func::<(&str,), (Answer,)>(&mut store, index)?;
            Ok(check.call_async(&mut store, (params,)).await?.0)
        };
        let called = meter::metered(&meter, call).await;
        let guest = store.into_data();
        let (refused, log) = (guest.memory().refused(), guest.into_log());
        match called {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(message))) => Err(Fault::new(FaultKind::Error, &message)),
            Ok(Err(error)) => Err(Fault::from_call(&error, refused, log.last_error())),
            Err(meter::Overslept) => Err(Fault::overslept()),
        }
    }
}
