//! The generic scheme: a [`Template`] that is ready for use.

mod check;
mod content;
mod signatures;

use std::borrow::Cow;

use floodgate_event::scheme::{Encoding, Settings, Template, TimestampAt, Unit};
use floodgate_event::source::Locator;
use http::{HeaderMap, HeaderName, HeaderValue};

use self::content::{Content, Piece, Values, is_ended_by};
use self::signatures::{Place, Signatures};
use crate::digest::{self, Key};
use crate::header::{number, require_near, single};
use crate::keys::{self, Named, NamedSecret, Secrets};
use crate::verify::Verify;
use crate::{Failure, InvalidSettings, Request, Signed, Unsigned, fields};

struct Prepared {
    keys: Vec<Named<Key>>,
    place: Place,
    encoding: Encoding,
    content: Content,
    time: Option<Time>,
    id_header: Option<String>,
}

struct Time {
    at: TimestampAt,
    unit: Unit,
    /// `None` if a time is signed, and neither the provider nor the source says how old it may be.
    tolerance: Option<u64>,
}

/// Prepares a template with the keys of a source.
///
/// # Errors
/// If the template contradicts itself, or there is no key of its kind.
pub(crate) fn prepare(
    template: &Template,
    settings: &Settings,
    secrets: &Secrets,
) -> Result<Box<dyn Verify>, InvalidSettings> {
    let content = Content::parse(&template.content)?;
    check::check(template, &content, settings)?;
    let parse = |text: &str| keys::parse(template.algorithm, template.key, text);
    let keys = match template.algorithm.is_symmetric() {
        true => keys::prepare(secrets, parse)?,
        false => keys::prepare(&public_keys(settings), parse)?,
    };
    let time = template.timestamp.as_ref().map(|timestamp| Time {
        at: timestamp.at.clone(),
        unit: timestamp.unit,
        tolerance: settings.tolerance_seconds,
    });
    Ok(Box::new(Prepared {
        keys,
        place: Place::new(&template.header, &template.form)?,
        encoding: template.encoding,
        content,
        time,
        id_header: template.id_header.as_ref().map(|name| name.to_ascii_lowercase()),
    }))
}

/// Returns the public keys of the settings. The id of each is derived from the key.
pub(crate) fn public_keys(settings: &Settings) -> Secrets {
    let named = |text: &String| {
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        NamedSecret {
            id: format!("key_{}", hex::encode(&digest.as_ref()[..6])),
            secret: floodgate_event::Secret::new(text.clone()),
        }
    };
    settings.public_keys.iter().map(named).collect()
}

impl Verify for Prepared {
    fn require(&self, headers: &HeaderMap) -> Result<(), Failure> {
        if let Some(name) = &self.id_header {
            single(headers, name)?;
        }
        if let Some(Time { at: TimestampAt::Header(name), .. }) = &self.time {
            single(headers, name)?;
        }
        self.place.signatures(headers).map(drop)
    }

    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        self.require_end_of_url(request)?;
        let id = self.id_header.as_deref().map(|name| self.id(request.headers, name)).transpose()?;
        let signatures = self.place.signatures(request.headers)?;
        let timestamp = self.timestamp(request, &signatures)?;
        let parts = self.content.parts(&Values {
            method: request.method,
            url: request.url,
            body: request.body,
            timestamp: timestamp.as_deref().unwrap_or_default(),
            id: id.unwrap_or_default(),
        });
        keys::find(&self.keys, |key| key.made_one(&parts, self.encoding, signatures.all()))
    }

    fn covers(&self, locator: &Locator) -> bool {
        match locator {
            Locator::Json(_) => self.content.signs(&Piece::Body),
            Locator::Header(name) => self.id_header.as_ref().is_some_and(|id| id.eq_ignore_ascii_case(name)),
        }
    }

    fn sign(&self, message: &Unsigned<'_>) -> Option<Signed> {
        let timestamp = self.time.as_ref().map(|time| time.unit.of(message.now).to_string());
        let parts = self.content.parts(&Values {
            method: message.method,
            url: message.url,
            body: message.body,
            timestamp: timestamp.as_deref().unwrap_or_default(),
            id: message.id,
        });
        let tag = self.keys.first()?.key.sign(&parts)?;
        let mut pairs = vec![];
        if let (Some(Time { at: TimestampAt::Header(name), .. }), Some(text)) = (&self.time, &timestamp) {
            pairs.push((name.to_string(), text.clone()));
        }
        if let Some(name) = &self.id_header {
            pairs.push((name.clone(), message.id.to_owned()));
        }
        let pair = match &self.time {
            Some(Time { at: TimestampAt::Pair(name), .. }) => {
                timestamp.as_deref().map(|text| (name.as_str(), text))
            }
            _ => None,
        };
        pairs.push(self.place.write(&digest::encode(self.encoding, tag.as_ref()), pair));
        headers(pairs)
    }
}

impl Prepared {
    /// Refuses a request of which it is unclear where the URL ends. `settings.url` is fixed, but a query may
    /// have any text. Whoever captured a request could move what follows the URL into the query, or the end
    /// of the query out of it. So the query must not have the text that ends it.
    fn require_end_of_url(&self, request: &Request<'_>) -> Result<(), Failure> {
        let query = request.url.find('?').map_or("", |at| &request.url[at..]);
        for piece in self.content.after_url() {
            match piece {
                Piece::Literal(end) if !is_ended_by(query, end) => {
                    let expected = format!("none of `{end}`, which ends the URL in the signed text");
                    return Err(Failure::malformed("the query", expected));
                }
                Piece::Body => require_start_of_body(query, request.body)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the id. An id that contains the text after `{id}` is refused: it would be unclear where the id
    /// ends and the next part begins.
    fn id<'r>(&self, headers: &'r HeaderMap, name: &str) -> Result<&'r str, Failure> {
        let id = single(headers, name)?;
        let end = self.content.end_of_id();
        if id.is_empty() || end.is_some_and(|end| !is_ended_by(id, end)) {
            return Err(Failure::malformed(name.to_owned(), "an id without the text that ends it"));
        }
        Ok(id)
    }

    /// Returns the text of the signed time, and refuses one that is too far from now.
    fn timestamp<'r>(
        &self,
        request: &Request<'r>,
        signatures: &Signatures<'r>,
    ) -> Result<Option<Cow<'r, str>>, Failure> {
        let Some(time) = &self.time else { return Ok(None) };
        let (name, text) = match &time.at {
            TimestampAt::Header(name) => (name, Cow::Borrowed(single(request.headers, name)?)),
            TimestampAt::Pair(name) => (name, Cow::Borrowed(signatures.only(name)?)),
            TimestampAt::Json(pointer) => (pointer, Cow::Owned(fields::text(request.body, pointer)?)),
        };
        let malformed = || Failure::malformed(name.to_string(), "a time as a whole number");
        let signed = number(&text).ok_or_else(malformed)?;
        if let Some(tolerance) = time.tolerance {
            require_near(time.unit.ahead(signed, request.now), tolerance)?;
        }
        Ok(Some(text))
    }
}

/// Refuses a request unless the first `{` or `[` behind the URL's path is where the body begins. White space
/// before it does not count, because a query has none.
pub(crate) fn require_start_of_body(query: &str, body: &[u8]) -> Result<(), Failure> {
    let first = floodgate_json::without_bom(body).trim_ascii_start().first();
    if query.contains(['{', '[']) {
        return Err(Failure::malformed("the query", "neither `{` nor `[`, with which the body begins"));
    }
    if first.is_some_and(|first| !matches!(first, b'{' | b'[')) {
        return Err(Failure::malformed("the body", "one that begins with `{` or `[`"));
    }
    Ok(())
}

trait InUnit {
    /// Returns by how many seconds the time is ahead of now, with the fraction that its unit gives.
    fn ahead(self, time: u64, now: u64) -> f64;
    fn of(self, seconds: u64) -> u64;
}

impl InUnit for Unit {
    fn ahead(self, time: u64, now: u64) -> f64 {
        // Differences beyond 2^53 lose their last digits, and no tolerance allows them.
        match self {
            Self::Seconds => time as f64 - now as f64,
            Self::Milliseconds => (time as f64 - now as f64 * 1_000.0) / 1_000.0,
        }
    }

    fn of(self, seconds: u64) -> u64 {
        match self {
            Self::Seconds => seconds,
            Self::Milliseconds => seconds.saturating_mul(1_000),
        }
    }
}

/// Makes the result of signing. Returns `None` if a name or a value cannot be in a header.
pub(crate) fn headers(pairs: Vec<(String, String)>) -> Option<Signed> {
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?)));
    Some(Signed { headers: pairs.collect::<Option<_>>()?, ..Signed::default() })
}
