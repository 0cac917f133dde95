//! Statistics of the values of a source, as a tree with one node per path.
//!
//! ```text
//! {"id":1,"tags":["a"]}        root: 3 objects
//! {"id":"2","tags":[]}    ──►   ├─ id: 2 numbers, 1 string that is an integer
//! {"id":3}                      └─ tags: 2 lists
//!                                   └─ items: 1 string
//! ```
//!
//! `visitor` adds values, and `field_type` chooses types from the result. The size of the tree is
//! limited by `MAX_MEMBERS` per object, and values are counted, not kept.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use lakewright_common::read::json::acceptance::Acceptance;

/// Maximum number of different keys of an object with statistics of their own. Further keys share
/// one node.
pub(super) const MAX_MEMBERS: usize = 2000;
/// Maximum number of values of a field that are compared to find out whether they are unique.
const MAX_DISTINCT: usize = 1_000_000;
/// Maximum number of compared values of a field whose name does not suggest a key.
const MAX_DISTINCT_OF_OTHERS: usize = 50_000;

/// Statistics of all values of one path.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) nulls: u64,
    pub(super) booleans: Count,
    pub(super) numbers: Numbers,
    pub(super) strings: Strings,
    pub(super) objects: Objects,
    pub(super) lists: Lists,
    /// First value that is neither null nor empty text, shortened.
    pub(super) example: Option<String>,
    /// Values of a field of the record, as long as they are unique. `None` if they are not, or if
    /// the node is not a field of the record.
    pub(super) distinct: Option<Distinct>,
}

/// Number of values of one kind, and the object in which the first of them is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) count: u64,
    /// Index of the object.
    pub(super) first: Option<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Numbers {
    pub(super) all: Count,
    /// Types that accept all numbers.
    pub(super) accepted: Acceptance,
    /// Number of numbers with a fraction or an exponent.
    pub(super) fractions: u64,
    /// Number of integers without a fraction that are beyond a long.
    pub(super) beyond_long: u64,
    /// Whether an integer has more digits than a double keeps.
    pub(super) has_long_integer: bool,
    pub(super) has_exponent: bool,
    /// Maximum number of digits before and after the point.
    pub(super) digits: (usize, usize),
    pub(super) min: f64,
    pub(super) max: f64,
    /// Number of `NaN`, `Infinity` and `-Infinity`.
    pub(super) non_finite: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Strings {
    /// Texts that are not empty.
    pub(super) filled: Count,
    pub(super) empty: Count,
    /// Types that accept all texts that are not empty.
    pub(super) accepted: Acceptance,
    /// Maximum number of digits of a text.
    pub(super) digits: usize,
    /// Whether a text has half of a surrogate pair.
    pub(super) has_lone_surrogate: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Objects {
    pub(super) all: Count,
    /// Members, in the order in which they were first seen.
    pub(super) members: Vec<Member>,
    index: HashMap<String, usize>,
    /// Values of the keys beyond [`MAX_MEMBERS`].
    pub(super) others: Option<Box<Node>>,
}

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) node: Node,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Lists {
    pub(super) all: Count,
    pub(super) items: Option<Box<Node>>,
}

/// Hashes of the values of a field, to find out whether they are unique.
#[derive(Debug, Clone)]
pub(super) struct Distinct {
    hashes: HashSet<u64, BuildHasherDefault<DefaultHasher>>,
    max: usize,
}

/// Place of a member among the members of an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slot {
    Member(usize),
    Other,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            all: Count::default(),
            accepted: Acceptance::EVERY,
            fractions: 0,
            beyond_long: 0,
            has_long_integer: false,
            has_exponent: false,
            digits: (0, 0),
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            non_finite: 0,
        }
    }
}

impl Default for Strings {
    fn default() -> Self {
        Self {
            filled: Count::default(),
            empty: Count::default(),
            accepted: Acceptance::EVERY,
            digits: 0,
            has_lone_surrogate: false,
        }
    }
}

impl Count {
    pub(super) fn add(&mut self, object: usize) {
        self.count += 1;
        self.first.get_or_insert(object);
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first = match (self.first, other.first) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

impl Distinct {
    fn for_key(key: &str) -> Self {
        let max = if is_name_of_key(key) { MAX_DISTINCT } else { MAX_DISTINCT_OF_OTHERS };
        Self { hashes: HashSet::default(), max }
    }

    /// Adds a value. Returns whether all values so far are unique, and few enough to compare.
    fn add(&mut self, value: &str) -> bool {
        let hash = self.hashes.hasher().hash_one(value);
        self.hashes.len() < self.max && self.hashes.insert(hash)
    }

    /// Returns the number of values.
    pub(super) fn count(&self) -> u64 {
        self.hashes.len() as u64
    }
}

/// Whether the name of a field suggests that it identifies a record.
pub(super) fn is_name_of_key(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "id" | "uuid" | "guid" | "key") || name.ends_with("id") || name.ends_with("_key")
}

impl Node {
    /// Returns the number of values, including nulls.
    pub(super) fn seen(&self) -> u64 {
        self.nulls + self.filled() + self.strings.empty.count
    }

    /// Returns the number of values that are neither null nor empty text.
    pub(super) fn filled(&self) -> u64 {
        self.booleans.count
            + self.numbers.all.count
            + self.strings.filled.count
            + self.objects.all.count
            + self.lists.all.count
    }

    /// Whether a text at this path or below it has half of a surrogate pair.
    pub(super) fn has_lone_surrogate(&self) -> bool {
        let members = self.objects.members.iter().map(|member| &member.node);
        let inner = members.chain(self.objects.others.as_deref()).chain(self.lists.items.as_deref());
        self.strings.has_lone_surrogate || inner.into_iter().any(Self::has_lone_surrogate)
    }

    /// Adds the text of a value to the distinct values.
    pub(super) fn compare(&mut self, value: &str) {
        if self.distinct.as_mut().is_some_and(|distinct| !distinct.add(value)) {
            self.distinct = None;
        }
    }

    /// Adds the statistics of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        self.nulls += other.nulls;
        self.booleans.merge(other.booleans);
        self.numbers.merge(&other.numbers);
        self.strings.merge(&other.strings);
        self.objects.merge(&other.objects);
        self.lists.merge(&other.lists);
        if self.example.is_none() {
            self.example.clone_from(&other.example);
        }
        // The values of two paths are not those of one field.
        self.distinct = None;
    }
}

impl Numbers {
    fn merge(&mut self, other: &Self) {
        self.all.merge(other.all);
        self.accepted = self.accepted.and(other.accepted);
        self.fractions += other.fractions;
        self.beyond_long += other.beyond_long;
        self.has_long_integer |= other.has_long_integer;
        self.has_exponent |= other.has_exponent;
        self.digits = (self.digits.0.max(other.digits.0), self.digits.1.max(other.digits.1));
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.non_finite += other.non_finite;
    }
}

impl Strings {
    fn merge(&mut self, other: &Self) {
        self.filled.merge(other.filled);
        self.empty.merge(other.empty);
        self.accepted = self.accepted.and(other.accepted);
        self.digits = self.digits.max(other.digits);
        self.has_lone_surrogate |= other.has_lone_surrogate;
    }
}

impl Objects {
    /// Returns the place of a key. `expected` is the place at which the key probably is. A key of
    /// the record (`is_root`) is compared for unique values.
    pub(super) fn slot(&mut self, key: &str, expected: usize, is_root: bool) -> Slot {
        if self.members.get(expected).is_some_and(|member| member.key == key) {
            return Slot::Member(expected);
        }
        if let Some(index) = self.index.get(key) {
            return Slot::Member(*index);
        }
        if self.members.len() >= MAX_MEMBERS {
            return Slot::Other;
        }
        let index = self.members.len();
        let distinct = is_root.then(|| Distinct::for_key(key));
        self.members.push(Member { key: key.to_owned(), node: Node { distinct, ..Node::default() } });
        self.index.insert(key.to_owned(), index);
        Slot::Member(index)
    }

    /// Returns the node of a place.
    pub(super) fn node(&mut self, slot: Slot) -> &mut Node {
        match slot {
            Slot::Member(index) if index < self.members.len() => &mut self.members[index].node,
            _ => self.others.get_or_insert_default(),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.all.merge(other.all);
        for member in &other.members {
            let slot = self.slot(&member.key, usize::MAX, false);
            self.node(slot).merge(&member.node);
        }
        if let Some(others) = &other.others {
            self.others.get_or_insert_default().merge(others);
        }
    }
}

impl Lists {
    fn merge(&mut self, other: &Self) {
        self.all.merge(other.all);
        if let Some(items) = &other.items {
            self.items.get_or_insert_default().merge(items);
        }
    }
}
