//! What gateways give to handlers, as they report it: a binding that asks for more is refused before it is
//! stored. Gateways would refuse it too, and then the source with it.

use std::collections::BTreeSet;

use floodgate_api::document::Invalid;
use floodgate_event::Name;
use floodgate_event::report::Maxima;
use floodgate_event::source::HandlerLimits;

use super::configuration::Configuration;
use super::{Control, Reports, regional};

/// What one gateway gives.
struct Given {
    gateway: String,
    region: Name,
    maxima: Maxima,
}

/// The most that gateways give of something.
type Most = fn(&Maxima) -> u64;

/// Something that a binding asks of every gateway.
struct Wanted<'a> {
    source: &'a Name,
    /// Where it stands in the source's document.
    path: String,
    what: &'static str,
    value: u64,
    of: Most,
}

impl Control {
    /// Checks what `after` asks of gateways and `before` does not. Regions out of reach cannot be asked; a
    /// gateway of theirs that gives less serves the source as it was before, and reports it.
    pub(super) async fn check_maxima(
        &self,
        before: &Configuration,
        after: &Configuration,
    ) -> Result<(), Invalid> {
        let known: BTreeSet<_> = wanted(before).iter().map(Wanted::key).collect();
        let new: Vec<_> = wanted(after).into_iter().filter(|wanted| !known.contains(&wanted.key())).collect();
        if new.is_empty() {
            return Ok(());
        }
        check(&new, &given(self.reports().await))
    }
}

impl Wanted<'_> {
    fn key(&self) -> (Name, String, u64) {
        (self.source.clone(), self.path.clone(), self.value)
    }
}

fn wanted(configuration: &Configuration) -> Vec<Wanted<'_>> {
    let mut all = Vec::new();
    for (source, stored) in &configuration.sources {
        for (index, bound) in stored.handlers.iter().enumerate() {
            let HandlerLimits { deadline_ms, memory_bytes, output_bytes } = bound.limits;
            let of = |field| format!("handlers[{index}].limits.{field}");
            let tried = regional::tried(configuration, bound).map(|(version, _)| version);
            let versions = regional::resolve(configuration, bound).into_iter().chain(tried);
            let sizes = versions.map(|version| {
                let path = format!("handlers[{index}]");
                (path, "bytes of its component", Some(version.size), (|given| given.component_bytes) as Most)
            });
            let limits: [(_, _, _, Most); 3] = [
                (of("deadline_ms"), "milliseconds", deadline_ms.map(u64::from), |given| given.deadline_ms),
                (of("memory_bytes"), "bytes of memory", memory_bytes, |given| given.memory_bytes),
                (of("output_bytes"), "bytes of output", output_bytes, |given| given.output_bytes),
            ];
            let asked = limits.into_iter().chain(sizes);
            all.extend(asked.filter_map(|(path, what, value, of)| {
                Some(Wanted { source, path, what, value: value?, of })
            }));
        }
    }
    all
}

fn given(regions: Vec<(Name, Option<Reports>)>) -> Vec<Given> {
    let mut all = Vec::new();
    for (region, reports) in regions {
        for report in reports.iter().flat_map(Reports::fresh) {
            let gateway = report.gateway.clone();
            all.extend(report.maxima.map(|maxima| Given { gateway, region: region.clone(), maxima }));
        }
    }
    all
}

fn check(wanted: &[Wanted<'_>], given: &[Given]) -> Result<(), Invalid> {
    for Wanted { source, path, what, value, of } in wanted {
        if let Some(least) = given.iter().min_by_key(|given| of(&given.maxima))
            && *value > of(&least.maxima)
        {
            let Given { gateway, region, maxima } = least;
            let most = of(maxima);
            return Err(Invalid::new(
                path,
                format!(
                    "source `{source}` asks for {value} {what}, and gateway `{gateway}` in region `{region}` gives {most} at most"
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use floodgate_event::snapshot::Digest256;

    use super::super::vault::Vault;
    use super::*;
    use floodgate_api::document::{SourceDocument, read_json};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn configuration(limits: &str) -> Configuration {
        let vault = Vault::new(floodgate_event::seal::OpeningKey::generate(), crate::RegionKeys::default());
        let mut configuration = Configuration::default();
        configuration.add_version(&name("h"), Digest256::of(b"x"), 5_000, 0).unwrap();
        let text = format!(
            r#"{{"verify": {{"scheme": "github", "secrets": ["s"]}}, "handlers": [{{"name": "h", "limits": {limits}}}]}}"#
        );
        let document: SourceDocument = read_json(text.as_bytes()).unwrap();
        configuration.put_source(&name("a"), &document, &vault).unwrap();
        configuration
    }

    fn gateway(name_: &str, change: impl FnOnce(&mut Maxima)) -> Given {
        let mut maxima = Maxima {
            deadline_ms: 1_000,
            memory_bytes: 1 << 27,
            output_bytes: 1 << 20,
            component_bytes: 9_000,
        };
        change(&mut maxima);
        Given { gateway: name_.to_owned(), region: name("eu"), maxima }
    }

    #[test]
    fn what_the_smallest_gateway_does_not_give_is_refused_by_name() {
        let gateways = [gateway("eu-1", |_| {}), gateway("eu-2", |given| given.deadline_ms = 500)];
        let refusal = |limits: &str| {
            check(&wanted(&configuration(limits)), &gateways).err().map(|invalid| invalid.to_string())
        };
        assert_eq!(refusal(r#"{"deadline_ms": 500}"#), None);
        assert_eq!(refusal("{}"), None);
        let text = refusal(r#"{"deadline_ms": 5000}"#).unwrap();
        assert!(text.starts_with("`handlers[0].limits.deadline_ms`") && text.contains("`eu-2`"), "{text}");
        assert!(refusal(r#"{"output_bytes": 1048577}"#).is_some());
        let small = [gateway("eu-1", |given| given.component_bytes = 4_999)];
        let text = check(&wanted(&configuration("{}")), &small).unwrap_err().to_string();
        assert!(text.starts_with("`handlers[0]`") && text.contains("5000 bytes of its component"), "{text}");
    }

    #[test]
    fn without_a_report_nothing_is_refused() {
        assert!(check(&wanted(&configuration(r#"{"deadline_ms": 5000}"#)), &[]).is_ok());
    }
}
