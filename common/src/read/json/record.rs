//! ③ Faults and undeclared fields of the current record.

use std::collections::BTreeMap;

use crate::read::field_counts::{COUNTED_FIELDS, MAX_NAME_BYTES, OTHER_FIELDS};
use crate::read::rejection::{Reason, Rejection};

/// State of the current record, and the undeclared fields of all records.
#[derive(Debug)]
pub(in crate::read) struct Record {
    /// Faults of values that do not fit their type, except values that were replaced by a later one
    /// under the same key.
    faults: Vec<FieldFault>,
    /// Invalid values of the record that became null, except those that were replaced by a later
    /// value under the same key.
    nulled: Vec<Nulled>,
    /// Numbers of invalid values that became null in all accepted records, by field.
    nulled_values: BTreeMap<String, u64>,
    /// Indices of the columns that contain the current value, the outermost first.
    pub(in crate::read) path: Vec<usize>,
    /// Undeclared fields in this record, as indices into `unknown`.
    pub(in crate::read) seen: Vec<usize>,
    /// Names of undeclared fields, each with the number of accepted records that contain it. The
    /// first entry is [`OTHER_FIELDS`].
    unknown: Vec<(String, u64)>,
    /// Whether to parse the record again, because a string column received a number and needs the
    /// text of the number.
    pub(in crate::read) is_to_be_read_again: bool,
}

/// Fault of a value that does not fit its declared type.
#[derive(Debug)]
pub(in crate::read) struct FieldFault {
    path: Vec<usize>,
    pub(in crate::read) rejection: Rejection,
}

/// Invalid value that became null.
#[derive(Debug)]
struct Nulled {
    path: Vec<usize>,
    name: String,
}

/// Numbers of the faults and of the nulled values that were recorded before an object.
#[derive(Debug, Clone, Copy)]
pub(in crate::read) struct Mark {
    faults: usize,
    nulled: usize,
}

impl Record {
    pub(in crate::read) fn new() -> Self {
        Self {
            faults: Vec::new(),
            nulled: Vec::new(),
            nulled_values: BTreeMap::new(),
            path: Vec::new(),
            seen: Vec::new(),
            unknown: vec![(OTHER_FIELDS.to_owned(), 0)],
            is_to_be_read_again: false,
        }
    }

    pub(in crate::read) fn begin(&mut self) {
        self.faults.clear();
        self.nulled.clear();
        self.path.clear();
        self.seen.clear();
        self.is_to_be_read_again = false;
    }

    /// Counts the undeclared fields and the nulled values of an accepted record.
    pub(in crate::read) fn count(&mut self) {
        for Nulled { name, .. } in self.nulled.drain(..) {
            *self.nulled_values.entry(name).or_default() += 1;
        }
        // A key may occur several times in a record, which counts once.
        self.seen.sort_unstable();
        self.seen.dedup();
        for &field in &self.seen {
            self.unknown[field].1 += 1;
        }
    }

    /// Adds an undeclared field that was not seen before. Returns its index; `None` if it is
    /// counted as [`OTHER_FIELDS`].
    pub(in crate::read) fn unknown_field(&mut self, around: &str, name: &str) -> Option<usize> {
        // The first entry is [`OTHER_FIELDS`] and is not counted.
        if self.unknown.len() > COUNTED_FIELDS || around.len() + name.len() > MAX_NAME_BYTES {
            self.seen.push(0);
            return None;
        }
        let dotted = if around.is_empty() { name.to_owned() } else { format!("{around}.{name}") };
        self.unknown.push((dotted, 0));
        Some(self.unknown.len() - 1)
    }

    pub(in crate::read) fn fault(&mut self, reason: Reason, name: &str, detail: String) {
        self.faults.push(FieldFault { path: self.path.clone(), rejection: Rejection::of_field(reason, name, detail) });
    }

    /// Records that an invalid value of the field `name` became null.
    pub(in crate::read) fn record_nulled(&mut self, name: &str) {
        self.nulled.push(Nulled { path: self.path.clone(), name: name.to_owned() });
    }

    /// Returns the number of faults.
    pub(in crate::read) fn faults(&self) -> usize {
        self.faults.len()
    }

    /// Returns the numbers of faults and nulled values so far.
    pub(in crate::read) fn mark(&self) -> Mark {
        Mark { faults: self.faults.len(), nulled: self.nulled.len() }
    }

    /// Removes the faults and nulled values of a value at the current path, because a later value
    /// under the same key replaces it. Keeps those that were recorded before `mark`, which is the
    /// start of the object that contains both values. All items of a list have the same path, so they may belong to an
    /// earlier item.
    pub(in crate::read) fn forgive(&mut self, mark: Mark) {
        let path = &self.path;
        let mut index = 0;
        self.faults.retain(|fault| {
            index += 1;
            index <= mark.faults || !fault.path.starts_with(path)
        });
        index = 0;
        self.nulled.retain(|nulled| {
            index += 1;
            index <= mark.nulled || !nulled.path.starts_with(path)
        });
    }

    /// Returns the first fault of the record.
    pub(in crate::read) fn first_fault(&self) -> Option<&FieldFault> {
        self.faults.first()
    }

    /// Returns the names of undeclared fields, each with the number of accepted records that
    /// contain it.
    pub(in crate::read) fn unknown_fields(&self) -> BTreeMap<String, u64> {
        self.unknown.iter().filter(|(_, count)| *count > 0).cloned().collect()
    }

    /// Returns the number of invalid values that became null in all accepted records, by field.
    pub(in crate::read) fn nulled_values(&self) -> &BTreeMap<String, u64> {
        &self.nulled_values
    }
}
