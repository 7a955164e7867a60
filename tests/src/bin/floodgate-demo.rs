//! What `make demo` runs once everything is built.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match floodgate_tests::demo::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nThe demo failed: {failure}");
            ExitCode::FAILURE
        }
    }
}
