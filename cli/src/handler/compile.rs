//! `floodgate handler compile`: what a gateway runs on a component that it has no machine code of. The
//! component on standard input, the code on standard output; or there, with exit status 1, why there is none.

use std::io::{self, Write as _};

use floodgate_event::causes::chain;
use floodgate_toolchain::compile::{Error, compile};

use crate::exit::Failure;
use crate::output;

pub(crate) fn run() -> Result<(), Failure> {
    match compile(io::stdin().lock()) {
        Ok(code) => io::stdout().lock().write_all(code.as_bytes()).map_err(Failure::work),
        Err(Error::Refused(error)) => {
            output::print(&chain(&error))?;
            Err(Failure::work("the component was refused"))
        }
        Err(error) => Err(Failure::work(error)),
    }
}
