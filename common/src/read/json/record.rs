//! ③ What is known about the current record besides its values: faults and undeclared fields.

use std::collections::BTreeMap;

use crate::read::rejection::{Reason, Rejection};

/// Number of undeclared fields that are counted by name. The rest are counted together as
/// [`OTHER_FIELDS`].
const COUNTED_FIELDS: usize = 1000;
/// Length in bytes of the longest name that is counted. Names are kept as long as the decoder.
const MAX_NAME_BYTES: usize = 256;
const OTHER_FIELDS: &str = "…";

/// State of the current record, and the undeclared fields of all records.
#[derive(Debug)]
pub(in crate::read) struct Record {
    /// Values that a type refused, unless a later value under the same key has replaced them.
    faults: Vec<FieldFault>,
    /// Indices of the columns around the current value, the outermost first.
    pub(in crate::read) path: Vec<usize>,
    /// Numbers of the undeclared fields in this record.
    pub(in crate::read) seen: Vec<usize>,
    /// Names of undeclared fields, each with the number of accepted records that contain it.
    /// [`OTHER_FIELDS`] is the first one.
    unknown: Vec<(String, u64)>,
    /// Whether a string column received a number. The record is parsed again, because the column
    /// needs the text of the number.
    pub(in crate::read) is_to_be_read_again: bool,
}

/// A value that a type refused.
#[derive(Debug)]
pub(in crate::read) struct FieldFault {
    path: Vec<usize>,
    pub(in crate::read) rejection: Rejection,
}

impl Record {
    pub(in crate::read) fn new() -> Self {
        Self {
            faults: Vec::new(),
            path: Vec::new(),
            seen: Vec::new(),
            unknown: vec![(OTHER_FIELDS.to_owned(), 0)],
            is_to_be_read_again: false,
        }
    }

    pub(in crate::read) fn begin(&mut self) {
        self.faults.clear();
        self.path.clear();
        self.seen.clear();
        self.is_to_be_read_again = false;
    }

    /// Counts the undeclared fields of an accepted record.
    pub(in crate::read) fn count_seen(&mut self) {
        // A key may occur several times in a record, which counts once.
        self.seen.sort_unstable();
        self.seen.dedup();
        for &field in &self.seen {
            self.unknown[field].1 += 1;
        }
    }

    /// Returns the number of an undeclared field that was not seen before; `None` if it is counted
    /// among the others.
    pub(in crate::read) fn unknown_field(&mut self, around: &str, name: &str) -> Option<usize> {
        // The first entry is that of the other fields.
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

    /// Returns the number of faults.
    pub(in crate::read) fn faults(&self) -> usize {
        self.faults.len()
    }

    /// Removes the faults of a value at the current path, because a later value under the same key
    /// replaces it. The faults before the object that contains both are kept: they may belong to
    /// another item of a list, at the same path.
    pub(in crate::read) fn forgive(&mut self, before: usize) {
        let (path, mut index) = (&self.path, 0);
        self.faults.retain(|fault| {
            index += 1;
            index <= before || !fault.path.starts_with(path)
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
}
