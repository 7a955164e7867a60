//! Mistakes with the URL, for schemes that sign it: what a proxy or a form of the provider has made of it.

use super::{Case, Mistake};
use crate::scheme::url_of;

pub(super) fn hint(case: &Case<'_>) -> Option<String> {
    let in_template = || case.template().is_some_and(|template| template.content.contains("{url}"));
    if !case.preset.uses.contains(&"url") && !in_template() {
        return None;
    }
    let url = url_of(case.settings, case.request).into_owned();
    let holds = |other: &String| case.holds(Mistake { url: Some(other), ..Mistake::default() });
    let (phrase, _) = others(case, &url).into_iter().find(|(_, other)| holds(other))?;
    Some(format!("it verifies with the URL {phrase}"))
}

fn others(case: &Case<'_>, url: &str) -> Vec<(&'static str, String)> {
    let (base, query) = match url.split_once('?') {
        Some((base, query)) => (base, format!("?{query}")),
        None => (url, String::new()),
    };
    let mut others = vec![("without its query", base.to_owned())];
    others.push(match base.strip_suffix('/') {
        Some(base) => ("without the slash at the end of its path", format!("{base}{query}")),
        None => ("with a slash at the end of its path", format!("{base}/{query}")),
    });
    let Some((scheme, rest)) = url.split_once("://") else { return others };
    others.push(match scheme {
        "https" => ("beginning with `http:`", format!("http://{rest}")),
        _ => ("beginning with `https:`", format!("https://{rest}")),
    });
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    others.push(match host.rsplit_once(':') {
        Some((name, _)) => ("without its port", format!("{scheme}://{name}{path}")),
        None if scheme == "https" => ("with the port 443", format!("{scheme}://{host}:443{path}")),
        None => ("with the port 80", format!("{scheme}://{host}:80{path}")),
    });
    let named = case.request.headers.get("host").and_then(|host| host.to_str().ok());
    others
        .extend(named.map(|host| ("with the host of the header `Host`", format!("{scheme}://{host}{path}"))));
    others
}
