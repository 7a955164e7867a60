//! `floodgate rejects replay`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;

use floodgate_api::reject::{HeldReplay, HeldReplayDocument};
use floodgate_api::replay::State;
use floodgate_event::Name;
use indicatif::ProgressBar;

use crate::api::{ApiArgs, Client, ClientError};
use crate::exit::Failure;
use crate::output;
use crate::replay::{Replay, verdict, wait};
use crate::table::Table;

/// Which held requests to verify, and how.
#[derive(clap::Args)]
pub(crate) struct ReplayArgs {
    /// The source whose held requests to verify
    #[arg(long, value_name = "SOURCE")]
    source: Name,
    /// Only requests held in this region
    #[arg(long, value_name = "REGION")]
    region: Option<Name>,
    /// Only requests from this IP address
    #[arg(long, value_name = "ADDRESS")]
    peer: Option<IpAddr>,
    /// Requests per second [default: 100]
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Only count what would verify, by secret and sender
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: ReplayArgs) -> Result<(), Failure> {
    let ReplayArgs { source, region, peer, rate, dry_run, api, json } = args;
    let api = api.client()?;
    let order = HeldReplayDocument { source, region, peer, rate_per_second: rate, dry_run };
    let started = api.start_held_replay(&order).await?;
    let bar = ProgressBar::new(started.matched);
    let ended = wait(&api, started, bar).await?;
    if json {
        output::print_json(&ended)?;
    } else {
        output::print(&render(&ended))?;
    }
    verdict(&ended)
}

fn render(replay: &HeldReplay) -> String {
    let HeldReplay { matched, verified, refused, failed, dry_run, .. } = replay;
    let became = if *dry_run { "verify, and would become events" } else { "verify, and became events" };
    let mut text = format!(
        "{verified} of {matched} held requests {became}; {refused} do not verify, {failed} could not be checked\n"
    );
    let peers =
        replay.peers.iter().map(|(peer, of)| [peer.clone(), of.verified.to_string(), of.refused.to_string()]);
    text += &section(["sender", "verify", "do not"], peers);
    text += &section(["secret", "verify"], counts(&replay.secrets));
    text + &section(["why not", "requests"], counts(&replay.reasons))
}

fn counts(of: &BTreeMap<String, u64>) -> impl ExactSizeIterator<Item = [String; 2]> {
    of.iter().map(|(name, count)| [name.clone(), count.to_string()])
}

/// A table under an empty line, or nothing if it has no rows.
fn section<const N: usize>(headings: [&str; N], rows: impl ExactSizeIterator<Item = [String; N]>) -> String {
    if rows.len() == 0 {
        return String::new();
    }
    let mut table = Table::new(headings);
    rows.for_each(|row| table.row(row));
    format!("\n{}", table.render())
}

impl Replay for HeldReplay {
    fn id(&self) -> &str {
        &self.id
    }

    fn state(&self) -> State {
        self.state
    }

    fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    fn tried(&self) -> u64 {
        self.verified + self.refused + self.failed
    }

    fn shortfall(&self) -> Option<String> {
        let held = self.refused + self.failed;
        (held > 0).then(|| format!("{held} held requests do not verify"))
    }

    async fn look(api: &Client, id: &str) -> Result<Self, ClientError> {
        api.held_replay(id).await
    }

    async fn cancel(api: &Client, id: &str) -> Result<Self, ClientError> {
        api.cancel_held_replay(id).await
    }
}

#[cfg(test)]
mod tests {
    use floodgate_api::reject::PeerCounts;

    use super::*;

    fn replay(state: State, refused: u64) -> HeldReplay {
        HeldReplay {
            id: "rpl_1".to_owned(),
            state,
            dry_run: true,
            matched: 5,
            verified: 4,
            refused,
            failed: 0,
            secrets: [("sec_2".to_owned(), 4)].into(),
            peers: [("192.0.2.1".to_owned(), PeerCounts { verified: 4, refused })].into(),
            reasons: BTreeMap::new(),
            error: None,
            started_at: String::new(),
        }
    }

    #[test]
    fn it_says_whose_requests_verify_and_with_which_secret() {
        let text = render(&replay(State::Done, 1));
        assert!(
            text.starts_with("4 of 5 held requests verify, and would become events; 1 do not verify"),
            "{text}"
        );
        assert!(text.contains("192.0.2.1") && text.contains("sec_2") && !text.contains("why not"), "{text}");
    }

    #[test]
    fn only_a_replay_after_which_nothing_is_held_is_a_success() {
        assert!(verdict(&replay(State::Done, 0)).is_ok());
        for (state, refused) in [(State::Done, 1), (State::Cancelled, 0), (State::Failed, 0)] {
            assert!(verdict(&replay(state, refused)).is_err());
        }
    }
}
