//! Counts the values of a scan by field.

use std::collections::BTreeMap;

/// Maximum number of undeclared fields that are counted by name. Further fields are counted
/// together as [`OTHER_FIELDS`].
pub(in crate::read) const COUNTED_FIELDS: usize = 1000;
/// Maximum length in bytes of the name of a field that is counted by name. The length is limited
/// because all these names are kept in memory.
pub(in crate::read) const MAX_NAME_BYTES: usize = 256;
pub(in crate::read) const OTHER_FIELDS: &str = "…";

/// Numbers of values by field. A field inside another one has a dotted name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldCounts {
    /// For each undeclared field, the number of accepted records that contain it.
    pub undeclared: BTreeMap<String, u64>,
    /// For each declared field that has any, the number of invalid values that became null
    /// (`on_invalid = "null"`).
    pub nulled: BTreeMap<String, u64>,
    /// For each declared field, the number of accepted records in which it is not null.
    pub filled: BTreeMap<String, u64>,
    /// Number of records that were null and skipped (`null_records = "skip"`).
    pub null_records: u64,
}

impl FieldCounts {
    /// Adds the counts of another partition.
    pub fn add(&mut self, other: Self) {
        let Self { undeclared, nulled, filled, null_records } = other;
        add(&mut self.undeclared, undeclared);
        add(&mut self.nulled, nulled);
        add(&mut self.filled, filled);
        self.null_records = self.null_records.saturating_add(null_records);
    }

    /// Returns the declared fields that are null in all accepted records.
    pub fn empty(&self) -> impl Iterator<Item = &str> {
        self.filled.iter().filter(|(_, count)| **count == 0).map(|(name, _)| name.as_str())
    }
}

fn add(counts: &mut BTreeMap<String, u64>, other: BTreeMap<String, u64>) {
    for (name, count) in other {
        // A malicious worker may report any count.
        let total = counts.entry(name).or_default();
        *total = total.saturating_add(count);
    }
}
