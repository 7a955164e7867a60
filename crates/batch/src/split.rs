//! Finds where the events of a body begin and end.

use std::iter::once;
use std::ops::Range;

use floodgate_json::{items, without_bom};

use crate::{Media, Wrong};

/// The range of an event's bytes, or where the body breaks off.
type Found = Result<Range<usize>, Wrong>;

/// The ranges of the events, in order. White space around an event of a batch does not belong to it.
pub(crate) fn split(media: Media, is_batch: bool, body: &[u8]) -> Box<dyn Iterator<Item = Found> + '_> {
    match (media, is_batch) {
        (_, false) => Box::new(once(Ok(0..body.len()))),
        (Media::NdJson, true) => Box::new(lines(body).map(Ok)),
        (_, true) => {
            Box::new(items(body).map(|found| found.map_err(|broken| Wrong::NoArray { at: broken.at })))
        }
    }
}

/// The lines that are not empty.
fn lines(body: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = body.len() - without_bom(body).len();
    body[at..].split(|byte| *byte == b'\n').filter_map(move |line| {
        let start = at + line.len() - line.trim_ascii_start().len();
        at += line.len() + 1;
        let text = line.trim_ascii();
        (!text.is_empty()).then(|| start..start + text.len())
    })
}
