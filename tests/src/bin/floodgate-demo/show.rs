//! What the demo prints.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use super::tools::Pushed;
use super::traffic::Sent;
use floodgate_testkit::admin::Books;
use floodgate_testkit::consumer::Delivery;
use floodgate_testkit::deployment::Ready;

/// Of an id or a digest, in a table.
const SHORT: usize = 16;

/// The demo's output. Colours only where somebody looks.
pub(crate) struct Show {
    begun: Instant,
    colours: bool,
}

impl Show {
    pub(crate) fn begin() -> Self {
        let show = Self { begun: Instant::now(), colours: std::io::stdout().is_terminal() };
        println!(
            "{}",
            show.bold("Floodgate: two regions, a centre, a handler and a consumer on this machine")
        );
        show
    }

    pub(crate) fn deployment(&self, ready: &Ready) {
        self.title(
            "Deployment",
            &format!("{} processes, ready after {:.1?}", ready.processes.len(), self.begun.elapsed()),
        );
        for (name, region) in &ready.regions {
            println!("   region {name}   {}/in/{{source}}", region.url);
        }
        println!("   centre      {} (admin API)", ready.admin.url);
    }

    pub(crate) fn handler(&self, fixtures: usize, pushed: &Pushed, took: Duration) {
        let Pushed { name, version, digest } = pushed;
        self.title("Handler", &format!("built, tested and uploaded in {took:.1?}"));
        println!("   {name} version {version}, {fixtures} fixtures pass, sha256 {}…", short(digest));
    }

    pub(crate) fn configuration(&self, consumer: &str) {
        self.title("Configuration", "applied, and served by both regions");
        println!("   sources github, stripe (both through redact), orders  →  destination shop, {consumer}");
    }

    pub(crate) fn sent(&self, sent: &[Sent]) {
        self.title("Sent", &format!("{} signed webhooks", sent.len()));
        for Sent { request, answer } in sent {
            let status =
                if answer.status == 200 { self.green("200") } else { self.red(&answer.status.to_string()) };
            let id = answer.id.as_deref().map(|id| format!("{}…", short(id))).unwrap_or_default();
            let remark = self.dim(request.remark.text());
            let line = format!("   {}  {:<28} {status}  {id:<18} {remark}", request.region, request.label);
            println!("{}", line.trim_end());
        }
    }

    pub(crate) fn received(&self, deliveries: &[Delivery]) {
        self.title(
            "Received",
            &format!("by the consumer: {} events, each once, each signed", deliveries.len()),
        );
        for delivery in deliveries {
            let label = format!(
                "{} {}",
                delivery.header("floodgate-source"),
                delivery.header("floodgate-event-type")
            );
            let region = delivery.header("floodgate-region");
            println!(
                "   {:<28} {}…  through {region}, {} bytes",
                label,
                short(&delivery.id),
                delivery.body.len()
            );
        }
    }

    /// Lines of one Stripe event before and after the handler.
    pub(crate) fn redaction(&self, deliveries: &[Delivery]) {
        let Some(payload) = floodgate_testkit::fixtures::STRIPE.first() else {
            return;
        };
        let Some(delivery) =
            deliveries.iter().find(|delivery| delivery.header("floodgate-event-type") == payload.event)
        else {
            return;
        };
        self.title("Redacted", &format!("stripe {}, as sent and as received", payload.event));
        let (Ok(sent), Ok(received)) = (
            serde_json::from_str::<serde_json::Value>(payload.body),
            serde_json::from_slice::<serde_json::Value>(&delivery.body),
        ) else {
            return;
        };
        for pointer in [
            "description",
            "billing_details/name",
            "billing_details/email",
            "payment_method_details/card/number",
        ] {
            let at = format!("/data/object/{pointer}");
            let text =
                |value: Option<&serde_json::Value>| value.map_or("(gone)".to_owned(), ToString::to_string);
            let (before, after) = (text(sent.pointer(&at)), text(received.pointer(&at)));
            println!("   {:<36} {} → {}", pointer.replace('/', "."), self.red(&before), self.green(&after));
        }
    }

    pub(crate) fn books(&self, books: &Books) {
        self.title("Books", "computed from the streams");
        let events = &books.events;
        println!(
            "   events      {} accepted = {} stored + {} duplicate + {} filtered + {} responded + {} quarantined + {} in transit",
            events.accepted,
            events.stored,
            events.duplicate,
            events.filtered,
            events.responded,
            events.quarantined,
            events.in_transit
        );
        println!(
            "   stored      {} stored = {} routed + {} unmatched + {} to match",
            events.stored, events.routed, events.unmatched, events.to_match
        );
        let deliveries = &books.deliveries;
        println!(
            "   deliveries  {} matched = {} delivered + {} dead + {} discarded + {} pending",
            deliveries.matched,
            deliveries.delivered,
            deliveries.dead,
            deliveries.discarded,
            deliveries.pending
        );
    }

    pub(crate) fn end(&self) {
        println!("\n{} ({:.1?})", self.green("Everything is as it must be."), self.begun.elapsed());
    }

    fn title(&self, title: &str, more: &str) {
        println!("\n{} {}", self.bold(title), self.dim(more));
    }

    fn bold(&self, text: &str) -> String {
        self.coloured("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.coloured("2", text)
    }

    fn green(&self, text: &str) -> String {
        self.coloured("32", text)
    }

    fn red(&self, text: &str) -> String {
        self.coloured("31", text)
    }

    fn coloured(&self, code: &str, text: &str) -> String {
        if self.colours && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn short(text: &str) -> &str {
    text.get(..SHORT).unwrap_or(text)
}
