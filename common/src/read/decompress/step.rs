//! ② Result of one step of a decompressor.

use std::io;

/// Result of one step of a decompressor. The numbers of consumed and produced bytes are also valid
/// if the step failed.
#[derive(Debug)]
pub(in crate::read) struct Step {
    pub(in crate::read) consumed: usize,
    pub(in crate::read) produced: usize,
    pub(in crate::read) result: io::Result<Progress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::read) enum Progress {
    Inside,
    /// A member ended with the last byte consumed.
    EndOfMember,
}
