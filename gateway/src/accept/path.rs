//! Normalizes paths, so that equal ones compare equal.

use std::borrow::Cow;

/// The path with unreserved characters decoded and other percent-encodings in upper case, so that `%61` and
/// `a` are the same ([RFC 3986 §6.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2)). Nothing else
/// changes: a slash more or less is another path. Clients resolve dot segments before they send. They are not
/// resolved here, because such a path would bypass the rules of a proxy in front.
pub(crate) fn normal(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut pieces = path.split('%');
    let mut normal = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match encoded(piece) {
            Some(byte) => {
                if is_unreserved(byte) {
                    normal.push(char::from(byte));
                } else {
                    normal.push_str(&format!("%{byte:02X}"));
                }
                normal.push_str(&piece[2..]);
            }
            None => {
                normal.push('%');
                normal.push_str(piece);
            }
        }
    }
    Cow::Owned(normal)
}

/// The byte that two hex digits at the beginning of a piece encode, if there are two.
fn encoded(piece: &str) -> Option<u8> {
    let digits = piece.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_are_decoded() {
        for (path, same) in [
            ("/in/name", "/in/name"),
            ("/in/n%61me", "/in/name"),
            ("/%69n/%6e%61%6D%65", "/in/name"),
            ("/in/a%2Db%5f%7E%2e", "/in/a-b_~."),
            ("/in/a%2fb%3f%00%e4", "/in/a%2Fb%3F%00%E4"),
            ("/in/%2561", "/in/%2561"),
            ("/in/%", "/in/%"),
            ("/in/%6", "/in/%6"),
            ("/in/%+1%zz%é", "/in/%+1%zz%é"),
            ("/in//a/", "/in//a/"),
        ] {
            assert_eq!(normal(path), same, "{path}");
        }
    }
}
