//! What a part's `/metrics` says.

use crate::Result;
use crate::sender::client_builder;

/// The sum of a metric's samples over all of its labels; 0 where it has none.
///
/// # Errors
/// If the endpoint does not answer.
pub async fn sum(url: &str, name: &str) -> Result<f64> {
    let text = page(url).await?;
    Ok(text.lines().filter_map(|line| sample(line, name)).sum())
}

/// All of it.
///
/// # Errors
/// If the endpoint does not answer.
pub async fn page(url: &str) -> Result<String> {
    let client = client_builder().tls_certs_only([]).build()?;
    Ok(client.get(url).send().await?.error_for_status()?.text().await?)
}

fn sample(line: &str, name: &str) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_text_format() {
        assert_eq!(sample("a_total 3", "a_total"), Some(3.0));
        assert_eq!(sample(r#"a_total{x="b c"} 4.5"#, "a_total"), Some(4.5));
        assert_eq!(sample("a_total_more 3", "a_total"), None);
        assert_eq!(sample("# HELP a_total words", "a_total"), None);
    }
}
