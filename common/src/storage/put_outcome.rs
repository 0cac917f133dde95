//! Result of a put that must not replace anything.

/// Result of a put that must not replace anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum PutOutcome {
    /// The object was created, and survives a power cut.
    Created,
    /// An object existed already and was not changed.
    Exists,
}
