//! Finds the values of an array.

use std::ops::Range;

use crate::scan::Scan;

/// The values of an array, each as the range of its bytes. See [`items`].
pub struct Items<'t> {
    text: &'t [u8],
    scan: Scan<'t>,
    next: Next,
}

/// What is expected next.
enum Next {
    Array,
    Another,
    Nothing,
}

/// The text is no array, breaks off, or has something after the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The byte at which it became clear.
    pub at: usize,
}

/// Finds the values of the array that a text is, in one pass and without holding any of them. White space
/// around a value does not belong to it. After an error there is nothing more.
///
/// Like [`find`](crate::find), the pass looks only for where values end: the bytes of a value may be no JSON
/// themselves.
///
/// ```
/// use floodgate_json::items;
///
/// let text = br#"[{"n": 1.10}, "b"]"#;
/// let values: Result<Vec<_>, _> = items(text).map(|found| found.map(|range| &text[range])).collect();
/// assert_eq!(values, Ok(vec![&br#"{"n": 1.10}"#[..], &b"\"b\""[..]]));
/// ```
pub fn items(text: &[u8]) -> Items<'_> {
    Items { text, scan: Scan::new(text), next: Next::Array }
}

impl Items<'_> {
    /// Returns the next value, or `None` after the last. The outer `None` says that the text is broken.
    fn step(&mut self) -> Option<Option<Range<usize>>> {
        match self.next {
            Next::Nothing => return Some(None),
            Next::Array if !self.scan.take(b'[') => return None,
            Next::Array if self.scan.take(b']') => return self.end(),
            Next::Another if self.scan.take(b']') => return self.end(),
            Next::Another if !self.scan.take(b',') => return None,
            Next::Array | Next::Another => {}
        }
        self.scan.space();
        let start = self.scan.at;
        self.scan.skip()?;
        self.next = Next::Another;
        Some(Some(start..self.scan.at))
    }

    fn end(&mut self) -> Option<Option<Range<usize>>> {
        self.next = Next::Nothing;
        self.scan.space();
        (self.scan.at == self.text.len()).then_some(None)
    }
}

impl Iterator for Items<'_> {
    type Item = Result<Range<usize>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.step() {
            Some(found) => found.map(Ok),
            None => {
                self.next = Next::Nothing;
                Some(Err(Broken { at: self.scan.at.min(self.text.len()) }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &[u8]) -> Result<Vec<&[u8]>, Broken> {
        items(text).map(|found| found.map(|range| &text[range])).collect()
    }

    #[test]
    fn values_are_found_and_the_space_around_them_is_not_theirs() {
        assert_eq!(of(b" [ ] "), Ok(vec![]));
        assert_eq!(
            of(b"\xef\xbb\xbf[ {\"a\": [1, \"]\"]} ,2,\n\"\\\"\" ]\n"),
            Ok(vec![&b"{\"a\": [1, \"]\"]}"[..], b"2", b"\"\\\"\""])
        );
    }

    #[test]
    fn what_is_no_array_is_broken_where_it_breaks() {
        for (text, whole, at) in [
            (&b""[..], 0, 0),
            (b"{}", 0, 0),
            (b"[", 0, 1),
            (b"[1", 1, 2),
            (b"[1,", 1, 3),
            (b"[1,]", 1, 3),
            (b"[,1]", 0, 1),
            (b"[1 2]", 1, 3),
            (b"[1] 2", 1, 4),
            (b"[1}", 1, 2),
            (b"[{\"a\": \"b\\", 0, 10),
        ] {
            let found: Vec<_> = items(text).collect();
            let (last, before) = found.split_last().unwrap();
            assert_eq!((before.len(), last), (whole, &Err(Broken { at })), "{}", text.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_or_go_on_for_ever(text in proptest::collection::vec(
            proptest::sample::select(&b"[]{},:\"\\ 1a\n"[..]), 0..40)
        ) {
            prop_assert!(items(&text).count() <= text.len() + 1);
        }

        /// What stood between the commas comes back, byte for byte.
        #[test]
        fn what_is_joined_comes_apart_again(values in proptest::collection::vec(
            "(\\{\"a\": \"[^\"\\\\]{0,5}\"\\}|\\[\\]|-?[1-9][0-9]{0,3}|\"[^\"\\\\]{0,5}\")", 0..6), space in "[ \t\r\n]{0,2}"
        ) {
            let joined = format!("[{space}{}{space}]", values.join(&format!("{space},{space}")));
            let found = of(joined.as_bytes()).unwrap();
            let expected: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
