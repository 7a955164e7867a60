//! Finds card numbers in text: 13 to 19 digits, alone or in groups joined by a space or a dash, that begin as
//! cards do and end in the check digit of ISO/IEC 7812-1 (Luhn).

use std::ops::Range;

const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// `text` with each card number replaced by its last four digits, or none if there is no card number.
pub(crate) fn mask(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((place, last_four)) = find(rest) {
        out.push_str(&rest[..place.start]);
        out.push_str(&format!("[card {last_four}]"));
        rest = &rest[place.end..];
    }
    if rest.len() == text.len() {
        return None;
    }
    out.push_str(rest);
    Some(out)
}

/// The first card number's place and its last four digits.
fn find(text: &str) -> Option<(Range<usize>, String)> {
    let groups = groups(text);
    (0..groups.len()).find_map(|first| {
        let mut digits = String::new();
        let mut found = None;
        for (index, group) in groups.iter().enumerate().skip(first) {
            if index > first && !joined(text, &groups[index - 1], group) {
                break;
            }
            digits.push_str(&text[group.clone()]);
            if digits.len() > *DIGITS.end() {
                break;
            }
            // The longest wins: what follows a number may be part of it.
            if is_card(digits.as_bytes()) {
                found = Some((groups[first].start..group.end, digits[digits.len() - 4..].to_owned()));
            }
        }
        found
    })
}

/// Places of unbroken digits.
fn groups(text: &str) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match groups.last_mut() {
            Some(group) if group.end == at => group.end += 1,
            _ => groups.push(at..at + 1),
        }
    }
    groups
}

fn joined(text: &str, left: &Range<usize>, right: &Range<usize>) -> bool {
    matches!(&text[left.end..right.start], " " | "-")
}

fn is_card(digits: &[u8]) -> bool {
    DIGITS.contains(&digits.len()) && matches!(digits[0], b'2'..=b'6') && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let values = digits.iter().rev().map(|digit| u32::from(digit - b'0'));
    let sum: u32 =
        values.enumerate().map(|(index, value)| if index % 2 == 0 { value } else { doubled(value) }).sum();
    sum.is_multiple_of(10)
}

fn doubled(value: u32) -> u32 {
    let twice = value * 2;
    if twice > 9 { twice - 9 } else { twice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_masked_however_they_are_written() {
        for (text, masked) in [
            ("4242424242424242", "[card 4242]"),
            ("378282246310005", "[card 0005]"),
            ("pay 5555-5555-5555-4444 now", "pay [card 4444] now"),
            ("4242 4242 4242 4242 123", "[card 4242] 123"),
            ("12 4242 4242 4242 4242", "12 [card 4242]"),
            ("é4242424242424242é", "é[card 4242]é"),
            ("a 4242424242424242, b 5555555555554444", "a [card 4242], b [card 4444]"),
        ] {
            assert_eq!(mask(text).as_deref(), Some(masked), "{text}");
        }
    }

    #[test]
    fn other_numbers_stay() {
        for text in ["4242424242424241", "424242424242425", "1700000000000", "42424242424242424242", "", "é"]
        {
            assert_eq!(mask(text), None, "{text}");
        }
    }
}
