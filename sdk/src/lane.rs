/// The queue that an event waits in. Bulk traffic never stands in the way of critical events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Must not wait behind anything else.
    Critical,
    /// What a source gets that says nothing.
    #[default]
    Standard,
    /// May wait.
    Bulk,
}
