//! Objects that a run does not take in, as its sources are configured.

use lakewright_common::error::listed;

/// What is left out of one run, over all sources.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    /// Objects that changed after they were taken in, as which they stay.
    pub(crate) changed: u64,
    /// URLs of objects that changed while they were read: the next run takes them.
    pub(crate) changing: Vec<String>,
    /// URLs of objects that must be restored first.
    pub(crate) archived: Vec<String>,
}

impl LeftOut {
    /// A sentence each, for the user.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.changed > 0 {
            let count = usize::try_from(self.changed).unwrap_or(usize::MAX);
            warnings.push(format!("{} changed after being taken in, and stay as they were", objects(count)));
        }
        if !self.changing.is_empty() {
            let (count, names) = (objects(self.changing.len()), listed(&self.changing));
            warnings.push(format!("{count} changed while being read, left for the next run: {names}"));
        }
        if !self.archived.is_empty() {
            let (count, names) = (objects(self.archived.len()), listed(&self.archived));
            warnings.push(format!("{count} in an archive, skipped: {names}"));
        }
        warnings
    }
}

/// `1 object`, `2 objects`
pub(super) fn objects(count: usize) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}
