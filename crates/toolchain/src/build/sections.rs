//! The sections of a core module: what debuggers read is left out, the functions'
//! names stay for traces of faults.

use std::iter;
use std::ops::Range;

/// Bytes before the first section: magic number and version.
const HEADER: usize = 8;
/// What custom sections begin with.
const CUSTOM: u8 = 0;
/// What the names of sections with debugging information (DWARF) begin with.
const DEBUG: &[u8] = b".debug_";

/// The module without its sections of debugging information. One that is malformed comes back as
/// it is, for others to refuse.
pub(super) fn without_debug(module: Vec<u8>) -> Vec<u8> {
    let Some(kept) = kept(&module) else { return module };
    iter::once(0..HEADER).chain(kept).flat_map(|range| &module[range]).copied().collect()
}

/// Where the other sections are; none if one of them, or the header, ends beyond the module.
fn kept(module: &[u8]) -> Option<Vec<Range<usize>>> {
    module.get(..HEADER)?;
    let (mut kept, mut at) = (Vec::new(), HEADER);
    while at < module.len() {
        let (size, contents) = number(module, at + 1)?;
        let end = contents.checked_add(size)?;
        let is_debug = module[at] == CUSTOM && is_debug(module.get(contents..end)?)?;
        if !is_debug {
            module.get(at..end)?;
            kept.push(at..end);
        }
        at = end;
    }
    Some(kept)
}

fn is_debug(contents: &[u8]) -> Option<bool> {
    let (length, name) = number(contents, 0)?;
    Some(contents.get(name..name.checked_add(length)?)?.starts_with(DEBUG))
}

/// An unsigned number of at most 32 bits (LEB128), and where it ends.
fn number(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    let mut number = 0;
    for (index, byte) in bytes.get(start..)?.iter().take(5).enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, start + index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    fn custom(name: &str, contents: &[u8]) -> Vec<u8> {
        let size = u8::try_from(1 + name.len() + contents.len()).unwrap();
        [&[CUSTOM, size, name.len() as u8][..], name.as_bytes(), contents].concat()
    }

    #[test]
    fn debugging_information_goes_and_names_stay() {
        let (names, types) = (custom("name", b"abc"), [1, 1, 0].to_vec());
        let module = [MODULE.to_vec(), types.clone(), custom(".debug_line", b"xyz"), names.clone()].concat();
        assert_eq!(without_debug(module), [MODULE.to_vec(), types, names].concat());
    }

    #[test]
    fn what_is_malformed_stays_as_it_is() {
        for tail in [&[0][..], &[1, 9, 0], &[0, 2, 7, 0], &[0, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            let module = [MODULE, tail].concat();
            assert_eq!(without_debug(module.clone()), module);
        }
        assert_eq!(without_debug(Vec::new()), Vec::<u8>::new());
    }
}
