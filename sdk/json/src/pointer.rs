//! JSON pointers ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)).

/// A pointer, split into its tokens. The empty pointer has none and means the whole text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// The most tokens of a pointer: a scan goes into as many levels of a document as its pointers name.
    pub const MAX_TOKENS: usize = 100;

    /// Parses a pointer such as `/data/object/id`, in which `~1` is `/` and `~0` is `~`. `None` if it is
    /// neither empty nor begins with `/`, or has more than [`Pointer::MAX_TOKENS`] tokens.
    pub fn parse(pointer: &str) -> Option<Self> {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return None;
        }
        let tokens = pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"));
        let tokens: Vec<_> = tokens.collect();
        (tokens.len() <= Self::MAX_TOKENS).then_some(Self(tokens))
    }

    pub(crate) fn tokens(&self) -> &[String] {
        &self.0
    }
}
