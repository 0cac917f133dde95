//! Result of a conditional put, which never replaces an object.

/// Result of a conditional put, which never replaces an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum PutOutcome {
    /// The object was created, and survives a power cut.
    Created,
    /// An object with this key existed already and was not changed.
    Exists,
}
