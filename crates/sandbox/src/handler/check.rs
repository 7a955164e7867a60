//! Asks a handler whether it accepts its parameters.

use super::Handler;
use crate::context::Context;
use crate::contract::CHECK;
use crate::fault::{Fault, FaultKind};
use crate::meter::{self, Meter};

type Answer = Result<(), String>;

impl Handler {
    /// Calls the export `check` under the limits of a run. A handler without that export accepts all
    /// parameters.
    ///
    /// # Errors
    /// A fault of kind `error` is the handler's own answer. Any other fault means that it gave no answer.
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
            Err(meter::TimedOut) => Err(Fault::timed_out()),
        }
    }
}
