//! Checks that a template does not contradict itself. A source with a template that does would refuse every
//! request, or accept what was not signed.

use floodgate_event::scheme::{Form, Settings, Template, TimestampAt};
use http::HeaderName;

use super::content::{Content, Piece, wrong};
use crate::InvalidSettings;

/// Checks that the template says where the value of each placeholder is, that every value is signed, and that
/// a signature fits one request only.
///
/// # Errors
/// If the template contradicts itself. The error names the contradiction.
pub(super) fn check(
    template: &Template,
    content: &Content,
    settings: &Settings,
) -> Result<(), InvalidSettings> {
    if !content.signs(&Piece::Body) {
        return Err(wrong("without `{body}`, anyone could change the body"));
    }
    if content.signs(&Piece::Url) && settings.url.is_none() {
        return Err(InvalidSettings::Needs {
            setting: "url",
            why: "the provider signs the URL that it was given",
        });
    }
    check_end_of_url(content)?;
    check_form(template)?;
    check_id(template, content)?;
    check_time(template, content)
}

/// The sender chooses the query, which may end in any text. So an id or a time directly after `{url}` could
/// be moved into the query, in part or whole, and nothing in a request shows that. Text after `{url}` and the
/// beginning of a body do show it, when a request arrives.
fn check_end_of_url(content: &Content) -> Result<(), InvalidSettings> {
    let unclear = content.after_url().any(|piece| !matches!(piece, Piece::Literal(_) | Piece::Body));
    match unclear {
        true => Err(wrong("`{url}` needs text or `{body}` after it, or it is unclear where it ends")),
        false => Ok(()),
    }
}

/// Without these rules a value could not be told from what stands beside it.
fn check_form(template: &Template) -> Result<(), InvalidSettings> {
    let wrong = |why: String| Err(InvalidSettings::Setting { setting: "signature.form", why });
    let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    match &template.form {
        Form::Prefix(prefix) if !is_visible(&prefix.replace(' ', "")) || prefix.starts_with(' ') => {
            wrong(format!("`{prefix}` cannot begin a header: expected visible ASCII"))
        }
        Form::List(prefix) if !is_visible(prefix) => wrong(format!(
            "`{prefix}` cannot begin a signature of a list: expected visible ASCII without spaces"
        )),
        Form::Pairs { separator, .. } if !separates(*separator) => wrong(format!(
            "`{separator}` cannot separate pairs: expected a space, or a character such as `,` or `;` that no \
             signature has"
        )),
        Form::Pairs { separator, name } => {
            let time = template.timestamp.as_ref().and_then(|timestamp| match &timestamp.at {
                TimestampAt::Pair(name) => Some(name),
                TimestampAt::Header(_) | TimestampAt::Json(_) => None,
            });
            let is_name =
                |name: &String| is_visible(name) && !name.is_empty() && !name.contains(['=', *separator]);
            match [Some(name), time].into_iter().flatten().find(|name| !is_name(name)) {
                Some(name) => wrong(format!("`{name}` cannot be the name of a pair")),
                None if time == Some(name) => wrong(format!("`{name}` is the signature and the time")),
                None => Ok(()),
            }
        }
        Form::Bare | Form::Prefix(_) | Form::List(_) | Form::Numbered => Ok(()),
    }
}

/// Letters, digits, `+`, `/` and `=` are of signatures.
fn separates(separator: char) -> bool {
    separator == ' ' || (separator.is_ascii_punctuation() && !['+', '/', '='].contains(&separator))
}

fn check_id(template: &Template, content: &Content) -> Result<(), InvalidSettings> {
    let Some(name) = &template.id_header else {
        return match content.signs(&Piece::Id) {
            true => Err(wrong("`{id}` needs `id_header`")),
            false => Ok(()),
        };
    };
    header("signature.id_header", name)?;
    if !content.signs(&Piece::Id) {
        return Err(wrong("the id is not signed: put `{id}` where it belongs"));
    }
    if !content.delimits_id() {
        return Err(wrong(
            "`{id}` comes before `{body}` and needs text after it, or it is unclear where it ends",
        ));
    }
    Ok(())
}

fn check_time(template: &Template, content: &Content) -> Result<(), InvalidSettings> {
    let place = |why: String| InvalidSettings::Setting { setting: "signature.timestamp", why };
    let signed = content.signs(&Piece::Timestamp);
    match template.timestamp.as_ref().map(|timestamp| &timestamp.at) {
        None if signed => Err(wrong("`{timestamp}` needs `timestamp`")),
        None => Ok(()),
        Some(TimestampAt::Json(pointer)) if !pointer.starts_with('/') => {
            Err(place(format!("`{pointer}` is not a JSON pointer: expected it to begin with `/`")))
        }
        Some(TimestampAt::Json(_)) if signed => {
            Err(wrong("the time is in the body, which is signed: leave `{timestamp}` out"))
        }
        Some(TimestampAt::Json(_)) => Ok(()),
        Some(_) if !signed => Err(wrong("the time is not signed: put `{timestamp}` where it belongs")),
        Some(TimestampAt::Header(name)) => header("signature.timestamp", name),
        Some(TimestampAt::Pair(_)) if matches!(template.form, Form::Pairs { .. }) => Ok(()),
        Some(TimestampAt::Pair(name)) => Err(place(format!("the pair `{name}` needs the form `pairs`"))),
    }
}

fn header(setting: &'static str, name: &str) -> Result<(), InvalidSettings> {
    let wrong =
        |_| InvalidSettings::Setting { setting, why: format!("`{name}` is not the name of a header") };
    HeaderName::from_bytes(name.as_bytes()).map(drop).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use floodgate_event::scheme::{Timestamp, Unit};

    use super::*;

    fn checked(template: &Template) -> Result<(), String> {
        let content = Content::parse(&template.content).map_err(|error| error.to_string())?;
        check(template, &content, &Settings::default()).map_err(|error| error.to_string())
    }

    fn signing(content: &str, id: Option<&str>, at: Option<TimestampAt>) -> Template {
        Template {
            content: content.to_owned(),
            id_header: id.map(str::to_owned),
            timestamp: at.map(|at| Timestamp { at, unit: Unit::Seconds }),
            ..Template::hmac_sha256("x-signature")
        }
    }

    #[test]
    fn it_is_clear_where_a_url_ends() {
        let settings = Settings { url: Some("https://hooks.example/in".to_owned()), ..Settings::default() };
        let checked = |content: &str| {
            let header = Some(TimestampAt::Header("x-time".to_owned()));
            let id = content.contains("{id}").then_some("x-id");
            let template = signing(content, id, header.filter(|_| content.contains("{timestamp}")));
            check(&template, &Content::parse(content).unwrap(), &settings).map_err(|error| error.to_string())
        };
        for bad in ["{url}{id}.{body}", "{url}{timestamp}{body}", "{url}{method}{body}", "{url}{url}{body}"] {
            let error = checked(bad).unwrap_err();
            assert!(error.contains("unclear where it ends"), "{bad}: {error}");
        }
        for good in ["{url}{body}", "{url}.{id}.{body}", "{id}.{url}\n{body}", "{body}{url}", "{body}.{url}"]
        {
            assert_eq!(checked(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn contradictions_are_named() {
        let header = |name: &str| Some(TimestampAt::Header(name.to_owned()));
        let json = |pointer: &str| Some(TimestampAt::Json(pointer.to_owned()));
        let pair = || Some(TimestampAt::Pair("t".to_owned()));
        for (content, id, at, says) in [
            ("{timestamp}", None, header("x-time"), "without `{body}`"),
            ("{body}{", None, None, "a `{` without `}`"),
            ("{body}}", None, None, "a `}` without `{`"),
            ("{body}{text}", None, None, "no placeholder `{text}`"),
            ("{url}{body}", None, None, "needs `url`"),
            ("{id}.{body}", None, None, "`{id}` needs `id_header`"),
            ("{body}", Some("x-id"), None, "the id is not signed"),
            ("{id}{body}", Some("x-id"), None, "unclear where it ends"),
            ("{body}.{id}.", Some("x-id"), None, "unclear where it ends"),
            ("{id}.{body}", Some("x id"), None, "`x id` is not the name of a header"),
            ("{timestamp}{body}", None, None, "`{timestamp}` needs `timestamp`"),
            ("{body}", None, header("x-time"), "the time is not signed"),
            ("{timestamp}{body}", None, header("x time"), "`x time` is not the name of a header"),
            ("{timestamp}{body}", None, json("/t"), "leave `{timestamp}` out"),
            ("{body}", None, json("t"), "not a JSON pointer"),
            ("{timestamp}{body}", None, pair(), "the pair `t` needs the form `pairs`"),
        ] {
            let error = checked(&signing(content, id, at)).unwrap_err();
            assert!(error.contains(says), "{content}: {error}");
        }
        let pairs = |separator, name: &str| Form::Pairs { separator, name: name.to_owned() };
        for (form, says) in [
            (pairs('a', "v1"), "`a` cannot separate pairs"),
            (pairs('=', "v1"), "`=` cannot separate pairs"),
            (pairs('\u{e9}', "v1"), "cannot separate pairs"),
            (pairs(',', ""), "`` cannot be the name"),
            (pairs(',', "v=1"), "`v=1` cannot be the name"),
            (pairs('.', "v.1"), "`v.1` cannot be the name"),
            (pairs(',', "t"), "`t` is the signature and the time"),
            (Form::List("v1, ".to_owned()), "without spaces"),
            (Form::Prefix(" v1=".to_owned()), "cannot begin a header"),
            (Form::Prefix("\u{e9}=".to_owned()), "cannot begin a header"),
        ] {
            let template = Template { form, ..signing("{timestamp}.{body}", None, pair()) };
            let error = checked(&template).unwrap_err();
            assert!(error.contains(says), "{template:?}: {error}");
        }
        let fit = Template { form: pairs(' ', "v1"), ..signing("{timestamp}.{body}", None, pair()) };
        assert_eq!(checked(&fit), Ok(()));
        for (content, id, at) in [
            ("{body}", None, None),
            ("{id}.{timestamp}.{body}", Some("x-id"), header("x-time")),
            ("{body}", None, json("/t")),
        ] {
            assert_eq!(checked(&signing(content, id, at)), Ok(()), "{content}");
        }
    }
}
