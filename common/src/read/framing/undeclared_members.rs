//! ② Counts the members beside the records of a document that no field reads.

use std::collections::BTreeMap;

use crate::config::records_path::{Level, member_of, place};
use crate::read::field_counts::{COUNTED_FIELDS, MAX_NAME_BYTES, OTHER_FIELDS};

/// The members beside the records that fields read: the level of the container, and the key.
pub(in crate::read) type DeclaredMembers = Vec<(usize, String)>;

/// Undeclared members of the containers around the records.
#[derive(Debug)]
pub(in crate::read) struct UndeclaredMembers {
    declared: DeclaredMembers,
    /// Place of the containers of each level, such as `$.pages[]`.
    places: Vec<String>,
    counts: BTreeMap<String, u64>,
}

impl UndeclaredMembers {
    pub(super) fn new(path: &[Level], declared: DeclaredMembers) -> Self {
        let places = (0..path.len()).map(|level| place(&path[..level])).collect();
        Self { declared, places, counts: BTreeMap::new() }
    }

    /// Whether fields read members of the containers of a level.
    pub(super) fn declares(&self, level: usize) -> bool {
        self.declared.iter().any(|(at, _)| *at == level)
    }

    /// Counts a member of a container, unless a field reads it. `key` is `None` if it is not JSON or
    /// is too long. Returns the index of the member among the declared ones.
    pub(super) fn count(&mut self, level: usize, key: Option<&str>) -> Option<usize> {
        let is_member = |(at, name): &(usize, String)| *at == level && key == Some(name);
        let declared = self.declared.iter().position(is_member);
        if declared.is_none() {
            let name = key.map(|key| member_of(&self.places[level], key));
            let is_counted = |name: &String| {
                self.counts.contains_key(name) || (self.counts.len() < COUNTED_FIELDS && name.len() <= MAX_NAME_BYTES)
            };
            let name = name.filter(is_counted).unwrap_or_else(|| OTHER_FIELDS.to_owned());
            *self.counts.entry(name).or_default() += 1;
        }
        declared
    }

    /// Returns the undeclared members by their path from the root of the document (`$`), each with
    /// the number of containers that have it.
    pub(in crate::read) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }
}
