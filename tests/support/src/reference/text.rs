//! Markdown: wrapped paragraphs, anchors, and numbers that people can read.

/// The width of prose.
const WIDTH: usize = 118;

/// The anchor that GitHub and mdBook make of a heading.
pub(super) fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, '_' | '-' | ' '));
    kept.map(|char| if char == ' ' { '-' } else { char.to_ascii_lowercase() }).collect()
}

/// Joins the lines of each paragraph and breaks them anew.
pub(super) fn wrapped(text: &str) -> String {
    let paragraph = |text: &str| {
        let (mut lines, mut line) = (Vec::new(), String::new());
        for word in text.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
        lines.join("\n")
    };
    text.split("\n\n").map(paragraph).collect::<Vec<_>>().join("\n\n")
}

/// A number with commas; bytes also in the largest unit of which they are a whole number.
pub(super) fn number(value: u64, is_bytes: bool) -> String {
    let digits = value.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    let grouped = groups.join(",");
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(bits, _)| is_bytes && value > 0 && value.is_multiple_of(1 << bits)) {
        Some((bits, unit)) => format!("{grouped} ({} {unit})", value >> bits),
        None => grouped,
    }
}
