//! Finds the place of an error in a text. A parser's own message shows the line itself, which may contain a
//! secret.

use std::ops::Range;

/// Returns the number of the line, from 1, in which `span` of `text` begins, or 1 if the span is not known.
pub fn line(text: &str, span: Option<Range<usize>>) -> usize {
    let before = span.and_then(|span| text.get(..span.start)).unwrap_or_default();
    before.matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one() {
        let text = "a\nbc\nd";
        for (start, number) in [(0, 1), (1, 1), (2, 2), (4, 2), (5, 3), (6, 3), (7, 1)] {
            assert_eq!(line(text, Some(start..start)), number, "{start}");
        }
        assert_eq!(line(text, None), 1);
    }
}
