//! Moves through a text from one value to the next. Only what holds values together is looked at: brackets,
//! commas, colons and where strings end. So a scan gets past what a parser would refuse, such as bytes that
//! are not UTF-8.

use serde::de::IgnoredAny;

use crate::without_bom;

/// Returns true if a value that a scan has skipped is JSON: a word or number may be anything, such as a
/// form's field. Objects, arrays and strings are known by their first byte.
pub(crate) fn is_json(value: &[u8]) -> bool {
    matches!(value.first(), Some(b'{' | b'[' | b'"')) || serde_json::from_slice::<IgnoredAny>(value).is_ok()
}

/// A place in a text. Its methods give `None` where the text breaks off.
pub(crate) struct Scan<'t> {
    text: &'t [u8],
    pub(crate) at: usize,
}

impl<'t> Scan<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Self {
        Self { text, at: text.len() - without_bom(text).len() }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(crate) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips white space and then this character. Returns true if the character was there.
    pub(crate) fn take(&mut self, character: u8) -> bool {
        self.space();
        let there = self.peek() == Some(character);
        self.at += usize::from(there);
        there
    }

    /// Skips a value, however deep it is, without a stack.
    pub(crate) fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                _ if depth == 0 => self.scalar()?,
                _ => self.at += 1,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Skips a number or a word, whatever it says.
    fn scalar(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(byte) = self.peek()
            && !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b'"' | b'{' | b'}' | b'[' | b']')
        {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// Skips a string; `None` if there is none.
    pub(crate) fn string(&mut self) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            self.at += memchr::memchr2(b'"', b'\\', self.text.get(self.at..)?)?;
            if self.text[self.at] == b'"' {
                self.at += 1;
                return Some(());
            }
            self.at += 2;
        }
    }
}
