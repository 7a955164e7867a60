//! A source, as an operator describes it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use floodgate_event::grant::Grants;
use floodgate_event::source::{
    AcceptedStatus, Dedup, HandlerLimits, Intake, Locator, OnFault, OnVerifyFailure, RateLimit, RawPolicy,
    default_tenant,
};
use floodgate_event::type_pattern::TypePattern;
use floodgate_event::{Lane, Name, Secret};
use floodgate_schemes::presets;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, Invalid, VerifyDocument, field};

// The fields of `Intake` are listed and not flattened in: `flatten` and `deny_unknown_fields` do not go
// together.
/// A source, as `PUT /v1/sources/{name}` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Source)]
pub struct SourceDocument {
    /// The tenant that owns it.
    #[serde(default = "default_tenant")]
    #[schema(value_type = String, default = "default", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    pub tenant: Name,
    /// How requests prove where they come from.
    pub verify: VerifyDocument,
    /// The chain of handlers, in order.
    #[serde(default)]
    #[schema(max_items = 16)]
    pub handlers: Vec<HandlerDocument>,
    /// Keys that handlers may use where their binding grants it, by name.
    #[serde(default, deserialize_with = "field::secret_map")]
    #[schema(value_type = BTreeMap<String, Secret>, write_only)]
    pub keys: BTreeMap<Name, Secret>,
    /// Where the provider's id is; the scheme's preset if left out.
    #[serde(default)]
    event_id: Option<Locator>,
    /// Where the event's type is; the scheme's preset if left out.
    #[serde(default)]
    event_type: Option<Locator>,
    /// What makes two requests the same event.
    #[serde(default)]
    #[schema(default = "id")]
    dedup: Dedup,
    /// The event types that are taken, exact or ending in `*`, as they are received; null for all. Others are
    /// refused with 422.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 256)]
    types: Option<Vec<TypePattern>>,
    /// Whether the signed bytes stay with the event.
    #[serde(default)]
    #[schema(default = "keep")]
    raw: RawPolicy,
    /// Whether a request whose signature fails is also held, sealed to its region's key, to be verified again
    /// once the source is corrected. Its sender gets 401 either way.
    #[serde(default)]
    #[schema(default = "refuse")]
    on_verify_failure: OnVerifyFailure,
    /// What events are ordered by, if by anything.
    #[serde(default)]
    order_by: Option<Locator>,
    /// The lane, where `lanes` does not name the type.
    #[serde(default)]
    #[schema(default = "standard")]
    lane: Lane,
    /// Lanes by exact event type, at most 1,000.
    #[serde(default)]
    lanes: BTreeMap<String, Lane>,
    /// The status of the answer to an accepted event: 200 and 202 with the event's id, 204 without a body.
    #[serde(default)]
    status: AcceptedStatus,
    /// The largest body, in bytes, as sent and decompressed.
    #[serde(default = "default_max_body_bytes")]
    #[schema(default = 1048576, minimum = 1, maximum = 3145728)]
    max_body_bytes: u32,
    /// How fast the source may send, in each gateway process.
    #[serde(default)]
    rate_limit: Option<RateLimit>,
    /// Requests are refused with 503 once the region's configuration is older than this, in seconds.
    #[serde(default)]
    #[schema(minimum = 120, maximum = 2592000)]
    max_config_age_seconds: Option<u64>,
}

/// One of `handlers` of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Binding)]
pub struct HandlerDocument {
    /// The name that the handler was uploaded under.
    pub name: Name,
    /// Its version; without one, whichever is promoted.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub version: Option<NonZeroU32>,
    /// What a failure does.
    #[serde(default)]
    #[schema(default = "quarantine")]
    pub on_fault: OnFault,
    /// What the handler is given as its parameters.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub params: serde_json::Map<String, serde_json::Value>,
    /// What it may ask of the host.
    #[serde(default)]
    pub grants: Grants,
    /// What it may use for each event.
    #[serde(default)]
    pub limits: HandlerLimits,
}

fn default_max_body_bytes() -> u32 {
    Intake::DEFAULT_MAX_BODY_BYTES
}

impl SourceDocument {
    /// The most keys for handlers.
    pub const MAX_KEYS: usize = 10;
    /// The most handlers in a chain.
    pub const MAX_HANDLERS: usize = 16;
    /// The longest event type that `lanes` names, in bytes.
    pub const MAX_TYPE_BYTES: usize = 256;
    /// The bounds of `max_config_age_seconds`. A region's configuration is confirmed every 30 s; less than
    /// four times that would refuse requests whenever a confirmation is late.
    pub const CONFIG_AGE_SECONDS: std::ops::RangeInclusive<u64> = 120..=30 * 86_400;

    /// Everything but verification and handlers.
    pub fn intake(&self) -> Intake {
        Intake {
            event_id: self.event_id.clone(),
            event_type: self.event_type.clone(),
            dedup: self.dedup,
            types: self.types.clone(),
            raw: self.raw,
            on_verify_failure: self.on_verify_failure,
            order_by: self.order_by.clone(),
            lane: self.lane,
            lanes: self.lanes.clone(),
            status: self.status,
            max_body_bytes: self.max_body_bytes,
            rate_limit: self.rate_limit,
            max_config_age_seconds: self.max_config_age_seconds,
        }
    }

    /// An empty list would refuse every event, which is what deleting the source is for.
    fn check_types(&self) -> Result<(), Invalid> {
        match self.types.as_deref() {
            Some([]) => Err(Invalid::new("types", "names no type: leave it out to take all")),
            Some(types) => field::at_most("types", "patterns", types.len(), Intake::MAX_TYPES),
            None => Ok(()),
        }
    }

    fn check_locators(&self) -> Result<(), Invalid> {
        let locators =
            [("event_id", &self.event_id), ("event_type", &self.event_type), ("order_by", &self.order_by)];
        locators.into_iter().try_for_each(|(path, locator)| {
            let bytes = locator.as_ref().map_or(0, Locator::bytes);
            field::at_most(path, "bytes", bytes, Locator::MAX_BYTES)
        })
    }

    /// Own applications send id and type with each event, so nothing would read these.
    fn check_own(&self) -> Result<(), Invalid> {
        let preset = presets::find(&self.verify.scheme).filter(|preset| preset.own_applications);
        let given = [("event_id", &self.event_id), ("event_type", &self.event_type)];
        match given.into_iter().find(|(_, locator)| preset.is_some() && locator.is_some()) {
            Some((path, _)) => Err(Invalid::new(
                path,
                format!("with scheme `{}` each event has `id` and `type`: leave it out", self.verify.scheme),
            )),
            None => Ok(()),
        }
    }

    /// The gateway refuses the requests of these schemes before it keeps anything of them, so that nothing
    /// would be held.
    fn check_hold(&self) -> Result<(), Invalid> {
        let is_never_held = ["mtls", "none", "token"].contains(&self.verify.scheme.as_str());
        match self.on_verify_failure {
            OnVerifyFailure::Hold if is_never_held => Err(Invalid::new(
                "on_verify_failure",
                format!("scheme `{}` cannot hold requests: leave it out", self.verify.scheme),
            )),
            _ => Ok(()),
        }
    }

    fn check_lanes(&self) -> Result<(), Invalid> {
        field::at_most("lanes", "event types", self.lanes.len(), Intake::MAX_LANES)?;
        match self.lanes.keys().find(|name| name.len() > Self::MAX_TYPE_BYTES) {
            Some(name) => Err(Invalid::new(
                "lanes",
                format!(
                    "an event type of {} bytes, and at most {} are allowed",
                    name.len(),
                    Self::MAX_TYPE_BYTES
                ),
            )),
            None => Ok(()),
        }
    }

    fn check_keys(&self) -> Result<(), Invalid> {
        field::at_most("keys", "keys", self.keys.len(), Self::MAX_KEYS)?;
        let mut keys = self.keys.iter();
        keys.try_for_each(|(name, key)| field::secret(&format!("keys.{name}"), key))
    }

    fn check_grants(&self, index: usize, grants: &Grants) -> Result<(), Invalid> {
        let path = |field| format!("handlers[{index}].grants.{field}");
        field::at_most(&path("counters"), "counters", grants.counters.len(), Grants::MAX_COUNTERS)?;
        for (field, names) in [("sign", &grants.sign), ("verify", &grants.verify)] {
            if let Some(name) = names.iter().find(|name| !self.keys.contains_key(*name)) {
                return Err(Invalid::new(path(field), format!("`{name}` is not one of the source's `keys`")));
            }
        }
        Ok(())
    }

    fn check_handlers(&self) -> Result<(), Invalid> {
        field::at_most("handlers", "handlers", self.handlers.len(), Self::MAX_HANDLERS)?;
        let mut seen = BTreeSet::new();
        for (index, handler) in self.handlers.iter().enumerate() {
            handler.check(index)?;
            self.check_grants(index, &handler.grants)?;
            // Envelopes and metrics tell handlers apart by name.
            if !seen.insert(&handler.name) {
                return Err(Invalid::new(
                    format!("handlers[{index}].name"),
                    format!("`{}` stands before it", handler.name),
                ));
            }
        }
        Ok(())
    }
}

impl Document for SourceDocument {
    fn check(&self) -> Result<(), Invalid> {
        self.verify.check()?;
        self.check_keys()?;
        self.check_handlers()?;
        self.check_types()?;
        self.check_lanes()?;
        self.check_locators()?;
        self.check_own()?;
        self.check_hold()?;
        field::within("max_body_bytes", self.max_body_bytes.into(), 1..=Intake::MAX_BODY_BYTES.into())?;
        match self.max_config_age_seconds {
            Some(age) => field::within("max_config_age_seconds", age, Self::CONFIG_AGE_SECONDS),
            None => Ok(()),
        }
    }
}

impl HandlerDocument {
    /// The most bytes of `params`, written as JSON.
    pub const MAX_PARAMS_BYTES: usize = 64 * 1024;
    /// How deep objects and lists of `params` may stand in each other, `params` counted. The library that
    /// reads JSON gives up at 128, and in the configuration's document `params` stand deeper than in a
    /// request's.
    pub const MAX_PARAMS_DEPTH: usize = 64;

    fn check(&self, index: usize) -> Result<(), Invalid> {
        let path = format!("handlers[{index}].params");
        let text =
            serde_json::to_vec(&self.params).map_err(|error| Invalid::new(&path, error.to_string()))?;
        field::at_most(&path, "bytes of JSON", text.len(), Self::MAX_PARAMS_BYTES)?;
        let deepest = self.params.values().map(depth).max().unwrap_or_default() + 1;
        field::at_most(&path, "levels", deepest, Self::MAX_PARAMS_DEPTH)?;
        self.check_limits(|field| format!("handlers[{index}].limits.{field}"))
    }

    /// The bounds of any gateway; one may allow less.
    fn check_limits(&self, path: impl Fn(&str) -> String) -> Result<(), Invalid> {
        let HandlerLimits { deadline_ms, memory_bytes, output_bytes } = self.limits;
        let given = [
            ("deadline_ms", deadline_ms.map(u64::from), 1..=10_000),
            ("memory_bytes", memory_bytes, 1 << 17..=1 << 30),
            ("output_bytes", output_bytes, 1 << 10..=3 << 20),
        ];
        for (field, value, allowed) in given {
            value.map_or(Ok(()), |value| field::within(&path(field), value, allowed))?;
        }
        Ok(())
    }
}

/// How many objects and lists stand in each other. What was read is at most 128 deep, so that this ends.
fn depth(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Object(members) => members.values().map(depth).max().unwrap_or_default() + 1,
        serde_json::Value::Array(items) => items.iter().map(depth).max().unwrap_or_default() + 1,
        _ => 0,
    }
}
