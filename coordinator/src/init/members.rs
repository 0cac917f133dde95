//! Recognizes an object whose members are records: `{"u1":{"name":"Ann"},"u2":{"name":"Bo"}}`, or
//! `{"hello":"hallo","world":"Welt"}` with hundreds of members.
//!
//! The members of a record have names, and few of them are objects with the same keys. So an object
//! is one of records if it has many members, nearly all of them are objects, and these have most of
//! their keys in common. It is a dictionary if it has very many members of another kind: then each
//! value is a record.

use std::collections::{BTreeMap, BTreeSet};

use lakewright_common::config::resolved::RecordKind;

/// Minimum number of members that are records.
const MIN_MEMBERS: u64 = 11;
/// Minimum number of members if there is less evidence: they share only one key, or other documents
/// have members with the same keys, as objects of a schema do.
const MIN_MEMBERS_IN_DOUBT: u64 = 51;
/// Minimum number of members of a dictionary.
const MIN_ENTRIES: u64 = 300;
/// Minimum number of members of a dictionary if documents have the same members. With fewer, each
/// document is a record with many fields.
const MIN_ENTRIES_IN_DOUBT: u64 = 1001;
/// Minimum percentage of members that are of one kind.
const MIN_ALIKE_PERCENT: u64 = 90;
/// Minimum percentage of the members' keys that are shared. A key is shared if at least half of the
/// members have it.
const MIN_SHARED_PERCENT: u64 = 80;
/// Minimum percentage of a document that the members hold.
const MIN_BYTES_PERCENT: usize = 75;
/// Maximum number of different keys of members that are counted.
const MAX_KEYS: usize = 1000;
/// Maximum number of members whose own keys are kept.
const MAX_NAMES: usize = 1000;

/// Counts of an array, or of an object that may be one of records.
#[derive(Debug, Default)]
pub(super) struct MemberCounts<'a> {
    pub(super) objects: u64,
    pub(super) arrays: u64,
    pub(super) texts: u64,
    pub(super) numbers: u64,
    pub(super) booleans: u64,
    pub(super) nulls: u64,
    /// Keys of the members, as they are written.
    pub(super) names: Vec<&'a [u8]>,
    /// For each key inside of a member, the number of members that have it.
    inner: BTreeMap<&'a [u8], u64>,
}

/// An object of a document whose members may be records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Members {
    /// Keys that lead to the object; empty for the document itself.
    pub(super) path: Vec<String>,
    pub(super) count: u64,
    /// Kind of the records that the members are: objects, or values of another kind.
    pub(super) kind: RecordKind,
    /// Number of keys that most members have.
    shared_keys: usize,
    /// Keys of the first members.
    pub(super) names: BTreeSet<String>,
}

impl<'a> MemberCounts<'a> {
    /// Adds the keys of a member that is an object.
    pub(super) fn add(&mut self, keys: &[&'a [u8]]) {
        for key in keys {
            let known = self.inner.len();
            match self.inner.get_mut(key) {
                Some(count) => *count += 1,
                None if known < MAX_KEYS => _ = self.inner.insert(*key, 1),
                None => {}
            }
        }
    }

    /// Returns the number of items or members.
    pub(super) fn count(&self) -> u64 {
        self.filled() + self.nulls
    }

    /// Returns the number of items or members that are not null.
    pub(super) fn filled(&self) -> u64 {
        self.objects + self.arrays + self.texts + self.numbers + self.booleans
    }

    /// Returns the object at `path` if its members may be records. It has `bytes` of the `total`
    /// bytes of its document.
    pub(super) fn records(&self, path: Vec<String>, bytes: usize, total: usize) -> Option<Members> {
        let count = self.count();
        if count < MIN_MEMBERS || self.filled() == 0 || bytes * 100 < total * MIN_BYTES_PERCENT {
            return None;
        }
        let are_alike = |members: u64| members * 100 >= self.filled() * MIN_ALIKE_PERCENT;
        let names = self.names.iter().take(MAX_NAMES).filter_map(|name| serde_json::from_slice(name).ok());
        if count >= MIN_ENTRIES && [self.arrays, self.texts, self.numbers].into_iter().any(are_alike) {
            return Some(Members { path, count, kind: RecordKind::Value, shared_keys: 0, names: names.collect() });
        }
        if self.objects * 100 < count * MIN_ALIKE_PERCENT {
            return None;
        }
        let shared = self.inner.values().filter(|count| **count * 2 >= self.objects);
        let (all, of_shared): (u64, u64) = (self.inner.values().sum(), shared.clone().sum());
        let is_alike = self.inner.len() < MAX_KEYS && of_shared * 100 >= all * MIN_SHARED_PERCENT;
        let shared_keys = shared.count();
        if !is_alike || shared_keys == 0 {
            return None;
        }
        Some(Members { path, count, kind: RecordKind::Object, shared_keys, names: names.collect() })
    }
}

/// Whether the members of objects at one path are records. `found` is that object in each of some
/// documents.
pub(super) fn are_records(found: &[&Members]) -> bool {
    let Some(largest) = found.iter().max_by_key(|members| members.count) else { return false };
    let repeats = found
        .iter()
        .filter(|members| !std::ptr::eq(**members, *largest))
        .any(|members| has_same_names(members, largest));
    let in_doubt = repeats || largest.shared_keys < 2;
    let min = match (largest.kind, repeats) {
        (RecordKind::Value, true) => MIN_ENTRIES_IN_DOUBT,
        (RecordKind::Value, false) => MIN_ENTRIES,
        _ if in_doubt => MIN_MEMBERS_IN_DOUBT,
        _ => MIN_MEMBERS,
    };
    largest.count >= min
}

/// Whether more than half of the members have the same keys as members of another object.
fn has_same_names(one: &Members, other: &Members) -> bool {
    let same = one.names.intersection(&other.names).count();
    same * 2 > one.names.len().min(other.names.len())
}
