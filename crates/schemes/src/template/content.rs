//! What is signed: text with placeholders.

use floodgate_event::scheme::Template;

use crate::InvalidSettings;

/// The parsed `content` of a template: its pieces, in order.
pub(super) struct Content(Vec<Piece>);

/// A text or a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Body,
    Timestamp,
    Id,
    Method,
    Url,
}

/// The values of the placeholders, for one request.
pub(super) struct Values<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) body: &'a [u8],
    pub(super) timestamp: &'a str,
    pub(super) id: &'a str,
}

impl Content {
    /// Parses a content.
    ///
    /// # Errors
    /// If it is too long, or has braces that do not belong to a placeholder.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidSettings> {
        if text.len() > Template::MAX_BYTES {
            return Err(wrong(format!("at most {} bytes", Template::MAX_BYTES)));
        }
        let (mut pieces, mut rest) = (vec![], text);
        while let Some(open) = rest.find('{') {
            if open > 0 {
                pieces.push(Piece::Literal(rest[..open].to_owned()));
            }
            let inside = &rest[open + 1..];
            let (name, after) = inside.split_once('}').ok_or_else(|| wrong("a `{` without `}`"))?;
            pieces.push(Piece::named(name)?);
            rest = after;
        }
        if rest.contains('}') {
            return Err(wrong("a `}` without `{`"));
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Returns true if the content has this placeholder.
    pub(super) fn signs(&self, piece: &Piece) -> bool {
        self.0.contains(piece)
    }

    /// Returns true if it is clear where the id ends: a literal follows it, and the body does not come before
    /// it.
    pub(super) fn delimits_id(&self) -> bool {
        let at = |wanted: &Piece| self.0.iter().position(|piece| piece == wanted);
        self.end_of_id().is_some() && at(&Piece::Id) < at(&Piece::Body)
    }

    /// Returns what stands directly after each `{url}`.
    pub(super) fn after_url(&self) -> impl Iterator<Item = &Piece> {
        self.0.windows(2).filter(|pair| pair[0] == Piece::Url).map(|pair| &pair[1])
    }

    /// Returns what is signed, part by part.
    pub(super) fn parts<'a>(&'a self, values: &Values<'a>) -> Vec<&'a [u8]> {
        let part = |piece: &'a Piece| match piece {
            Piece::Literal(text) => text.as_bytes(),
            Piece::Body => values.body,
            Piece::Timestamp => values.timestamp.as_bytes(),
            Piece::Id => values.id.as_bytes(),
            Piece::Method => values.method.as_bytes(),
            Piece::Url => values.url.as_bytes(),
        };
        self.0.iter().map(part).collect()
    }

    /// Returns the literal after `{id}`.
    pub(super) fn end_of_id(&self) -> Option<&str> {
        let after = self.0.iter().skip_while(|piece| **piece != Piece::Id).nth(1);
        match after {
            Some(Piece::Literal(text)) => Some(text),
            _ => None,
        }
    }
}

impl Piece {
    fn named(name: &str) -> Result<Self, InvalidSettings> {
        match name {
            "body" => Ok(Self::Body),
            "timestamp" => Ok(Self::Timestamp),
            "id" => Ok(Self::Id),
            "method" => Ok(Self::Method),
            "url" => Ok(Self::Url),
            other => Err(wrong(format!(
                "no placeholder `{{{other}}}`: there are {{body}}, {{timestamp}}, {{id}}, {{method}}, {{url}}"
            ))),
        }
    }
}

/// Returns true if the first `end` in the text and this `end` behind it is the one behind it, so that a
/// reader would find where the text ends.
pub(super) fn is_ended_by(text: &str, end: &str) -> bool {
    format!("{text}{end}").find(end) == Some(text.len())
}

pub(super) fn wrong(why: impl Into<String>) -> InvalidSettings {
    InvalidSettings::Setting { setting: "signature.content", why: why.into() }
}
