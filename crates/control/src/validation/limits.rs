//! Compares the limits that a binding asks for with those that gateways report. A binding that asks for more
//! is refused before it is stored: gateways would refuse it too, and the whole source with it.

use std::collections::BTreeSet;

use floodgate_api::document::Invalid;
use floodgate_event::Name;
use floodgate_event::report::Maxima;
use floodgate_event::source::HandlerLimits;

use crate::{Configuration, Control, Reports, region_snapshot};

/// The most that one gateway gives to a handler.
struct GatewayLimits {
    gateway: String,
    region: Name,
    maxima: Maxima,
}

/// Picks one of a gateway's limits.
type LimitOf = fn(&Maxima) -> u64;

/// Something that a binding asks of every gateway.
struct Demand<'a> {
    source: &'a Name,
    /// The place in the source's document.
    path: String,
    what: &'static str,
    value: u64,
    limit: LimitOf,
}

impl Control {
    /// Checks what `after` asks of gateways and `before` does not. Regions out of reach cannot be asked: a
    /// gateway there that gives less continues to serve the source as it was, and reports it.
    pub(super) async fn check_limits(
        &self,
        before: &Configuration,
        after: &Configuration,
    ) -> Result<(), Invalid> {
        let accepted: BTreeSet<_> = demands(before).iter().map(Demand::key).collect();
        let new: Vec<_> =
            demands(after).into_iter().filter(|demand| !accepted.contains(&demand.key())).collect();
        if new.is_empty() {
            return Ok(());
        }
        check(&new, &gateway_limits(self.reports().await))
    }
}

impl Demand<'_> {
    fn key(&self) -> (Name, String, u64) {
        (self.source.clone(), self.path.clone(), self.value)
    }
}

fn demands(configuration: &Configuration) -> Vec<Demand<'_>> {
    let mut all = Vec::new();
    for (source, stored) in &configuration.sources {
        for (index, bound) in stored.handlers.iter().enumerate() {
            let HandlerLimits { deadline_ms, memory_bytes, output_bytes } = bound.limits;
            let path = |field| format!("handlers[{index}].limits.{field}");
            let tried = region_snapshot::trial_of(configuration, bound).map(|(version, _)| version);
            let versions = region_snapshot::bound_version(configuration, bound).into_iter().chain(tried);
            let sizes = versions.map(|version| {
                let path = format!("handlers[{index}]");
                (path, "bytes of its component", Some(version.size), (|most| most.component_bytes) as LimitOf)
            });
            let limits: [(_, _, _, LimitOf); 3] = [
                (path("deadline_ms"), "milliseconds", deadline_ms.map(u64::from), |most| most.deadline_ms),
                (path("memory_bytes"), "bytes of memory", memory_bytes, |most| most.memory_bytes),
                (path("output_bytes"), "bytes of output", output_bytes, |most| most.output_bytes),
            ];
            let asked = limits.into_iter().chain(sizes);
            all.extend(asked.filter_map(|(path, what, value, limit)| {
                Some(Demand { source, path, what, value: value?, limit })
            }));
        }
    }
    all
}

fn gateway_limits(regions: Vec<(Name, Option<Reports>)>) -> Vec<GatewayLimits> {
    let mut all = Vec::new();
    for (region, reports) in regions {
        for report in reports.iter().flat_map(Reports::fresh) {
            let gateway = report.gateway.clone();
            all.extend(report.maxima.map(|maxima| GatewayLimits { gateway, region: region.clone(), maxima }));
        }
    }
    all
}

fn check(demands: &[Demand<'_>], gateways: &[GatewayLimits]) -> Result<(), Invalid> {
    for Demand { source, path, what, value, limit } in demands {
        if let Some(least) = gateways.iter().min_by_key(|gateway| limit(&gateway.maxima))
            && *value > limit(&least.maxima)
        {
            let GatewayLimits { gateway, region, maxima } = least;
            let most = limit(maxima);
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
    use floodgate_event::Digest256;

    use super::*;
    use crate::vault::Vault;
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

    fn gateway(name_: &str, change: impl FnOnce(&mut Maxima)) -> GatewayLimits {
        let mut maxima = Maxima {
            deadline_ms: 1_000,
            memory_bytes: 1 << 27,
            output_bytes: 1 << 20,
            component_bytes: 9_000,
        };
        change(&mut maxima);
        GatewayLimits { gateway: name_.to_owned(), region: name("eu"), maxima }
    }

    #[test]
    fn what_the_smallest_gateway_does_not_give_is_refused_by_name() {
        let gateways = [gateway("eu-1", |_| {}), gateway("eu-2", |given| given.deadline_ms = 500)];
        let refusal = |limits: &str| {
            check(&demands(&configuration(limits)), &gateways).err().map(|invalid| invalid.to_string())
        };
        assert_eq!(refusal(r#"{"deadline_ms": 500}"#), None);
        assert_eq!(refusal("{}"), None);
        let text = refusal(r#"{"deadline_ms": 5000}"#).unwrap();
        assert!(text.starts_with("`handlers[0].limits.deadline_ms`") && text.contains("`eu-2`"), "{text}");
        assert!(refusal(r#"{"output_bytes": 1048577}"#).is_some());
        let small = [gateway("eu-1", |given| given.component_bytes = 4_999)];
        let text = check(&demands(&configuration("{}")), &small).unwrap_err().to_string();
        assert!(text.starts_with("`handlers[0]`") && text.contains("5000 bytes of its component"), "{text}");
    }

    #[test]
    fn without_a_report_nothing_is_refused() {
        assert!(check(&demands(&configuration(r#"{"deadline_ms": 5000}"#)), &[]).is_ok());
    }
}
