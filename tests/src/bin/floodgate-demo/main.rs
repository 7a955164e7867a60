//! The demo: the whole job on real input, through real parts, in under a minute. What `make demo` runs once
//! everything is built.

mod outcome;
mod show;
mod tools;
mod traffic;

use std::process::ExitCode;
use std::time::Instant;

use floodgate_testkit::scene::{ARRIVAL_LIMIT, Secrets};
use floodgate_testkit::{Admin, Consumer, Deployment, Failure, Result, Sender};

use self::show::Show;
use self::tools::Tools;
use self::traffic::Traffic;

/// The folder of the handler that the demo builds and uploads.
const HANDLER: &str = "handlers/redact";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nThe demo failed: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo and prints it; an error names what is not as it must be.
async fn run() -> Result<()> {
    let show = Show::begin();
    let deployment = Deployment::start().await?;
    let outcome = play(&show, &deployment).await;
    if outcome.is_err() {
        deployment.print_logs();
    }
    outcome
}

async fn play(show: &Show, deployment: &Deployment) -> Result<()> {
    let ready = deployment.ready()?;
    show.deployment(&ready);
    let secrets = Secrets::generate();
    let consumer = Consumer::start().await?;
    let admin = Admin::new(&ready)?;
    let tools = Tools::new(&ready, &secrets);

    let started = Instant::now();
    let fixtures = tools.build_handler(HANDLER).await?;
    let pushed = tools.push_handler(HANDLER, "redact").await?;
    show.handler(fixtures, &pushed, started.elapsed());
    tools.apply(&consumer.url(), deployment.scratch()).await?;
    show.configuration(&consumer.url());

    let traffic = Traffic::prepare(&secrets)?;
    let sent = traffic.send(&Sender::new(&ready)?).await?;
    show.sent(&sent);
    let books = admin.settled_books(ARRIVAL_LIMIT).await?;
    let deliveries = consumer.deliveries();
    show.received(&deliveries);
    show.redaction(&deliveries);
    show.books(&books);

    let faults = outcome::faults(&sent, &deliveries, &books, &secrets.destination)?;
    if faults.is_empty() {
        show.end();
        return Ok(());
    }
    Err(Failure::new(format!("not as it must be:\n  {}", faults.join("\n  "))))
}
