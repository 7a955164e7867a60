//! Where a request carries its signatures.

use floodgate_event::scheme::Form;
use http::{HeaderMap, HeaderName};

use crate::header::single;
use crate::{Failure, InvalidSettings};

/// The most headers of the form `numbered`. DocuSign has keys for at most 100.
const MAX_NUMBERED: usize = 100;

/// The header that holds the signatures, and its form.
pub(super) struct Place {
    header: String,
    form: Form,
}

/// The signatures of a request, as text.
pub(super) struct Signatures<'a> {
    /// The value of the header. The form `numbered` has several headers, and so several values.
    values: Vec<&'a str>,
    place: &'a Place,
}

impl Place {
    pub(super) fn new(header: &str, form: &Form) -> Result<Self, InvalidSettings> {
        let name = HeaderName::from_bytes(header.as_bytes()).map_err(|_| InvalidSettings::Setting {
            setting: "signature.header",
            why: format!("`{header}` is not the name of a header"),
        })?;
        Ok(Self { header: name.as_str().to_owned(), form: form.clone() })
    }

    /// Finds the signatures.
    ///
    /// # Errors
    /// If there is no signature in this form.
    pub(super) fn signatures<'a>(&'a self, headers: &'a HeaderMap) -> Result<Signatures<'a>, Failure> {
        let values = match self.form {
            Form::Numbered => self.numbered(headers)?,
            _ => vec![single(headers, &self.header)?],
        };
        let found = Signatures { values, place: self };
        if found.all().next().is_none() {
            return Err(Failure::malformed(self.header.clone(), self.expected()));
        }
        Ok(found)
    }

    fn numbered<'a>(&self, headers: &'a HeaderMap) -> Result<Vec<&'a str>, Failure> {
        let mut values = vec![];
        for number in 1..=MAX_NUMBERED {
            let name = format!("{}{number}", self.header);
            // Keys that were removed may leave gaps.
            if headers.contains_key(&name) {
                values.push(single(headers, &name)?);
            }
        }
        if values.is_empty() { Err(Failure::missing(format!("{}1", self.header))) } else { Ok(values) }
    }

    fn expected(&self) -> String {
        match &self.form {
            Form::Bare | Form::Numbered => "a signature".to_owned(),
            Form::Prefix(prefix) | Form::List(prefix) => format!("`{prefix}` and a signature"),
            Form::Pairs { name, .. } => format!("`{name}=` and a signature"),
        }
    }

    /// Returns the header with this signature, and with the time if that is in a pair.
    pub(super) fn write(&self, signature: &str, time: Option<(&str, &str)>) -> (String, String) {
        let name = match self.form {
            Form::Numbered => format!("{}1", self.header),
            _ => self.header.clone(),
        };
        let value = match (&self.form, time) {
            (Form::Bare | Form::Numbered, _) => signature.to_owned(),
            (Form::Prefix(prefix) | Form::List(prefix), _) => format!("{prefix}{signature}"),
            (Form::Pairs { name, .. }, None) => format!("{name}={signature}"),
            (Form::Pairs { separator, name }, Some((key, text))) => {
                format!("{key}={text}{separator}{name}={signature}")
            }
        };
        (name, value)
    }
}

impl<'a> Signatures<'a> {
    /// Returns all signatures, without their prefixes.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a str> {
        let (form, first) = (&self.place.form, self.values.first().copied().unwrap_or_default());
        let bare = matches!(form, Form::Bare | Form::Numbered);
        let whole = self.values.iter().copied().filter(move |value| bare && !value.is_empty());
        let parts = first.split(form.separator()).take(if bare { 0 } else { usize::MAX });
        whole.chain(parts.filter_map(|part| form.strip(part)).filter(|signature| !signature.is_empty()))
    }

    /// Returns the value of a pair that must occur exactly once.
    ///
    /// # Errors
    /// If the pair is missing, or occurs more than once.
    pub(super) fn only(&self, name: &str) -> Result<&'a str, Failure> {
        let header = self.values.first().copied().unwrap_or_default();
        let parts = header.split(self.place.form.separator());
        let mut found = parts.filter_map(|part| pair(part, name));
        match (found.next(), found.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(Failure::malformed(self.place.header.clone(), format!("one `{name}=`"))),
        }
    }
}

trait Parts {
    /// Returns the character between two signatures: one that no header can have, if there is only one
    /// signature.
    fn separator(&self) -> char;
    /// Returns the signature in a part of the header, or `None` if the part is something else.
    fn strip<'p>(&self, part: &'p str) -> Option<&'p str>;
}

impl Parts for Form {
    fn separator(&self) -> char {
        match self {
            Self::Pairs { separator, .. } => *separator,
            Self::List(_) => ' ',
            Self::Bare | Self::Prefix(_) | Self::Numbered => '\0',
        }
    }

    fn strip<'p>(&self, part: &'p str) -> Option<&'p str> {
        match self {
            Self::Bare | Self::Numbered => Some(part),
            Self::Prefix(prefix) | Self::List(prefix) => part.strip_prefix(&**prefix),
            Self::Pairs { name, .. } => pair(part, name),
        }
    }
}

fn pair<'p>(part: &'p str, name: &str) -> Option<&'p str> {
    part.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value)
}
