//! One pass over a text for several pointers.

use std::ops::Range;

use crate::Pointer;
use crate::scan::{Scan, is_json};

/// Takes what a walk comes by.
pub(crate) trait Visit {
    /// The pointer `which` leads on through a member of this name. It may lead through another of the same
    /// name later.
    fn enter(&mut self, _which: usize) {}

    /// The pointer `which` ends here.
    fn found(&mut self, which: usize, place: Place);
}

/// Where a value is in a text.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The value with its key, if it has one.
    pub(crate) member: Range<usize>,
    /// The value, without its key.
    pub(crate) value: Range<usize>,
}

/// Visits every place that a pointer leads to, repeated keys included. Returns true if the text is complete:
/// it holds together to its end and has nothing after it.
pub(crate) fn walk<const N: usize>(
    text: &[u8],
    pointers: [Option<&Pointer>; N],
    visit: &mut impl Visit,
) -> bool {
    let mut walk = Walk { text, scan: Scan::new(text), nested: false, visit };
    walk.scan.space();
    let start = walk.scan.at;
    let ends = walk.value(start, pointers.map(|pointer| pointer.map(Pointer::tokens))).is_some();
    let value = start..walk.scan.at;
    walk.scan.space();
    ends && walk.scan.at == text.len() && (walk.nested || is_json(&text[value]))
}

/// The rest of each pointer that leads to the value at hand; none for one that leads elsewhere.
type Rests<'p, const N: usize> = [Option<&'p [String]>; N];

struct Walk<'t, 'v, V> {
    text: &'t [u8],
    scan: Scan<'t>,
    /// True once the walk was inside an object or array.
    nested: bool,
    visit: &'v mut V,
}

impl<V: Visit> Walk<'_, '_, V> {
    /// Walks over a value and those members of it that pointers lead through. `from` is where its key begins,
    /// or itself.
    fn value<const N: usize>(&mut self, from: usize, rests: Rests<'_, N>) -> Option<()> {
        let (start, inside) = (self.scan.at, self.nested);
        let leads_on = rests.iter().flatten().any(|tokens| !tokens.is_empty());
        match self.scan.peek()? {
            b'{' if leads_on => self.object(rests)?,
            b'[' if leads_on => self.array(rests)?,
            _ => self.scan.skip()?,
        }
        // What the text's own end cuts off may have been longer: `12` of `123`.
        if inside && self.scan.at == self.text.len() {
            return None;
        }
        let place = Place { member: from..self.scan.at, value: start..self.scan.at };
        for (which, tokens) in rests.iter().enumerate() {
            if tokens.is_some_and(<[String]>::is_empty) {
                self.visit.found(which, place.clone());
            }
        }
        Some(())
    }

    fn object<const N: usize>(&mut self, rests: Rests<'_, N>) -> Option<()> {
        (self.scan.at, self.nested) = (self.scan.at + 1, true);
        if self.scan.take(b'}') {
            return Some(());
        }
        loop {
            self.scan.space();
            let from = self.scan.at;
            self.scan.string()?;
            let inner = self.through(rests, Name::Key(&self.text[from..self.scan.at]));
            if !self.scan.take(b':') {
                return None;
            }
            self.scan.space();
            self.value(from, inner)?;
            if !self.scan.take(b',') {
                return self.scan.take(b'}').then_some(());
            }
        }
    }

    fn array<const N: usize>(&mut self, rests: Rests<'_, N>) -> Option<()> {
        (self.scan.at, self.nested) = (self.scan.at + 1, true);
        if self.scan.take(b']') {
            return Some(());
        }
        for index in 0.. {
            self.scan.space();
            let inner = self.through(rests, Name::Index(index));
            self.value(self.scan.at, inner)?;
            if !self.scan.take(b',') {
                break;
            }
        }
        self.scan.take(b']').then_some(())
    }

    /// What is left of the pointers that lead through the value of this name.
    fn through<'p, const N: usize>(&mut self, rests: Rests<'p, N>, name: Name<'_>) -> Rests<'p, N> {
        let mut inner = [None; N];
        for (which, tokens) in rests.iter().enumerate() {
            if let Some((first, rest)) = tokens.and_then(<[String]>::split_first)
                && name.is(first)
            {
                self.visit.enter(which);
                inner[which] = Some(rest);
            }
        }
        inner
    }
}

/// The name of a value in the object or array that holds it.
#[derive(Clone, Copy)]
enum Name<'t> {
    /// A key, as the text has it: with quotes and escapes.
    Key(&'t [u8]),
    Index(usize),
}

impl Name<'_> {
    fn is(self, token: &str) -> bool {
        match self {
            Self::Key(quoted) => {
                let plain = &quoted[1..quoted.len() - 1];
                if memchr::memchr(b'\\', plain).is_none() {
                    return plain == token.as_bytes();
                }
                // No pointer leads through a key that is not text.
                serde_json::from_slice::<String>(quoted).is_ok_and(|key| key == token)
            }
            Self::Index(index) => token == index.to_string(),
        }
    }
}
