/// The queue that an event waits in, from the gateway to its consumers. Each lane has a stream of its own in
/// every region, so a flood in one lane delays no event in another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lane {
    /// For events that must not wait behind others, such as payments.
    Critical,
    /// The default of a source.
    #[default]
    Standard,
    /// For large numbers of events that may wait, such as imports.
    Bulk,
}
