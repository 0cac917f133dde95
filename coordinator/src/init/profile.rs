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
//!
//! Several threads add records, each to a tree of its own, and the trees are merged at the end. So
//! whatever depends on order has the place of a record: the merged tree does not depend on the
//! distribution of records, unless an object has more than `MAX_MEMBERS` different keys.

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
/// Maximum length of a value that may be constant.
const MAX_CONSTANT_BYTES: usize = 200;
/// Number of members after the expected one that are compared with a key before it is looked up.
const COMPARED_MEMBERS: usize = 4;

/// Statistics of all values of one path.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) nulls: u64,
    pub(super) booleans: Count,
    pub(super) numbers: Numbers,
    pub(super) strings: Strings,
    pub(super) objects: Objects,
    pub(super) lists: Lists,
    /// First value that is neither null nor empty text, shortened, and its place.
    pub(super) example: Option<(Place, String)>,
    /// Values of a field of the record, as long as they are unique. `None` if they are not, or if
    /// the node is not a field of the record.
    pub(super) distinct: Option<Distinct>,
    pub(super) constant: Constant,
}

/// Place of a record. Places are in the order in which records are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Index of the object.
    pub(super) object: usize,
    /// Line of the record in an object of lines, or its byte offset in a document.
    pub(super) position: u64,
}

/// Number of values of one kind, and the place of the first of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) count: u64,
    pub(super) first: Option<Place>,
}

/// The value of a field, as long as all of its values that are not null are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Constant {
    /// There was no value.
    Unseen,
    /// Text of the value as it is written in JSON.
    One(Box<str>),
    /// The values differ or are too long to compare, or the node is not a field of the record.
    #[default]
    Many,
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
    /// Maximum number of digits of a number with a fraction or an exponent, without zeros before
    /// them.
    pub(super) significant: usize,
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
    /// Members. In a merged tree, they are in the order of their first records.
    pub(super) members: Vec<Member>,
    index: HashMap<String, usize>,
    /// Values of the keys beyond [`MAX_MEMBERS`].
    pub(super) others: Option<Box<Node>>,
}

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) key: String,
    /// First record with the key, and the number of keys that were known before it.
    pub(super) first: (Place, usize),
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
            significant: 0,
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
    pub(super) fn add(&mut self, place: Place) {
        self.count += 1;
        // Records are added in the order of their places.
        self.first.get_or_insert(place);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first = earliest(self.first, other.first);
    }
}

/// Returns the earlier of two places.
fn earliest(one: Option<Place>, other: Option<Place>) -> Option<Place> {
    [one, other].into_iter().flatten().min()
}

impl Constant {
    /// Adds a value, which is neither null nor an object nor a list.
    fn add(&mut self, value: &str) {
        match self {
            Self::Many => {}
            Self::One(known) if **known == *value => {}
            Self::Unseen if value.len() <= MAX_CONSTANT_BYTES => *self = Self::One(value.into()),
            _ => *self = Self::Many,
        }
    }

    fn merge(&mut self, other: Self) {
        match other {
            Self::Unseen => {}
            Self::One(value) => self.add(&value),
            Self::Many => *self = Self::Many,
        }
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

    /// Adds the values of another part of the records. Returns as [`Distinct::add`] does.
    fn merge(&mut self, other: &Self) -> bool {
        let count = self.hashes.len() + other.hashes.len();
        self.hashes.extend(&other.hashes);
        self.hashes.len() == count && count <= self.max
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
        self.constant.add(value);
        if self.distinct.as_mut().is_some_and(|distinct| !distinct.add(value)) {
            self.distinct = None;
        }
    }

    /// Returns the place of the first value that is not null.
    pub(super) fn first_value(&self) -> Option<Place> {
        let kinds = [self.booleans, self.numbers.all, self.strings.filled, self.strings.empty];
        let kinds = kinds.into_iter().chain([self.objects.all, self.lists.all]);
        kinds.filter_map(|count| count.first).min()
    }

    /// Adds the statistics of `other`: of the same field in other records, or of values that get the
    /// same type.
    pub(super) fn merge(&mut self, other: Self) {
        self.nulls += other.nulls;
        self.booleans.merge(other.booleans);
        self.numbers.merge(&other.numbers);
        self.strings.merge(&other.strings);
        self.objects.merge(other.objects);
        self.lists.merge(other.lists);
        self.example = match (self.example.take(), other.example) {
            (Some(one), Some(other)) => Some(if other.0 < one.0 { other } else { one }),
            (one, other) => one.or(other),
        };
        self.constant.merge(other.constant);
        self.distinct = match (self.distinct.take(), other.distinct) {
            (Some(mut one), Some(other)) => one.merge(&other).then_some(one),
            _ => None,
        };
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
        self.significant = self.significant.max(other.significant);
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
    /// Returns the place of a key of an object in the record `place`. `expected` is the place at
    /// which the key probably is. The values of a key of the record (`is_root`) are compared.
    pub(super) fn slot(&mut self, key: &str, expected: usize, is_root: bool, place: Place) -> Slot {
        // Most records have the same keys in the same order, and some of them are missing.
        let mut next = self.members.iter().skip(expected).take(COMPARED_MEMBERS);
        if let Some(skipped) = next.position(|member| member.key == key) {
            return Slot::Member(expected + skipped);
        }
        if let Some(index) = self.index.get(key) {
            return Slot::Member(*index);
        }
        if self.members.len() >= MAX_MEMBERS {
            return Slot::Other;
        }
        let index = self.members.len();
        let mut node = Node::default();
        if is_root {
            node.distinct = Some(Distinct::for_key(key));
            node.constant = Constant::Unseen;
        }
        self.members.push(Member { key: key.to_owned(), first: (place, index), node });
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

    /// Adds the statistics of other objects. If one of both has [`MAX_MEMBERS`] members, further
    /// keys are among its `others`. A key that is a member of the other one only may then be among
    /// them, so its values become part of the common `others`.
    fn merge(&mut self, other: Self) {
        self.all.merge(other.all);
        let mut others: Vec<Node> = Vec::new();
        if other.others.is_some() {
            let members = std::mem::take(&mut self.members).into_iter();
            let (kept, moved): (Vec<Member>, Vec<Member>) =
                members.partition(|member| other.index.contains_key(&member.key));
            self.members = kept;
            others.extend(moved.into_iter().map(|member| member.node));
            self.build_index();
        }
        for member in other.members {
            match self.index.get(&member.key) {
                Some(index) => {
                    let known = &mut self.members[*index];
                    known.first = known.first.min(member.first);
                    known.node.merge(member.node);
                }
                None if self.others.is_some() => others.push(member.node),
                None => self.members.push(member),
            }
        }
        self.members.sort_by_key(|member| member.first);
        others.extend(self.members.drain(MAX_MEMBERS.min(self.members.len())..).map(|member| member.node));
        others.extend(other.others.map(|others| *others));
        others.into_iter().for_each(|node| self.others.get_or_insert_default().merge(node));
        self.build_index();
    }

    fn build_index(&mut self) {
        let members = self.members.iter().enumerate();
        self.index = members.map(|(index, member)| (member.key.clone(), index)).collect();
    }
}

impl Lists {
    fn merge(&mut self, other: Self) {
        self.all.merge(other.all);
        if let Some(items) = other.items {
            self.items.get_or_insert_default().merge(*items);
        }
    }
}

#[cfg(test)]
mod tests {
    use lakewright_common::config::resolved::RecordKind;

    use super::*;
    use crate::init::visitor::add_record;

    fn tree(records: &[(u64, String)]) -> Node {
        let mut root = Node::default();
        for (position, record) in records {
            add_record(&mut root, RecordKind::Object, record, Place { object: 0, position: *position });
        }
        root
    }

    /// Distributes records over two trees, and merges them.
    fn merged(records: &[String], is_of_first: impl Fn(u64) -> bool) -> Node {
        let numbered = (1..).zip(records.iter().cloned());
        let (first, second): (Vec<_>, Vec<_>) = numbered.partition(|(position, _)| is_of_first(*position));
        let mut root = tree(&first);
        root.merge(tree(&second));
        root
    }

    #[test]
    fn statistics_do_not_depend_on_the_distribution_of_records() {
        let records: Vec<String> = [
            r#"{"id":1,"kind":"a","v":null}"#,
            r#"{"new":{"x":1},"id":2,"kind":"a","v":[1]}"#,
            r#"{"id":3,"kind":"a","v":"x"}"#,
            r#"{"id":4,"kind":"a","v":["y"],"new":{"z":2,"x":1e400}}"#,
            r#"{"id":4.5,"rare":true}"#,
        ]
        .map(str::to_owned)
        .to_vec();
        let numbered: Vec<(u64, String)> = (1..).zip(records.iter().cloned()).collect();
        let whole = tree(&numbered);
        assert_eq!(whole.objects.members[1].node.constant, Constant::One("\"a\"".into()));
        assert_eq!(whole.objects.members[0].node.distinct.as_ref().map(Distinct::count), Some(5));
        for bits in 0..32u64 {
            let merged = merged(&records, |position| bits & (1 << (position - 1)) != 0);
            // The order of the index and of the hashes is not that of a tree.
            let shown = |node: &Node| {
                let members = node.objects.members.iter();
                let members = members.map(|member| {
                    let mut node = member.node.clone();
                    let distinct = node.distinct.take().map(|distinct| distinct.count());
                    let inner: Vec<_> =
                        node.objects.members.drain(..).map(|inner| (inner.key, inner.first.0)).collect();
                    node.objects.index.clear();
                    format!("{} {:?} {distinct:?} {inner:?} {node:?}", member.key, member.first.0)
                });
                members.collect::<Vec<_>>()
            };
            assert_eq!(shown(&merged), shown(&whole), "{bits}");
        }
    }

    #[test]
    fn a_repeated_value_in_two_parts_is_not_unique() {
        let records = ["{\"id\":1}", "{\"id\":1}"].map(str::to_owned);
        let merged = merged(&records, |position| position == 1);
        assert!(merged.objects.members[0].node.distinct.is_none());
    }

    #[test]
    fn a_member_has_all_values_of_its_key_even_if_there_are_too_many_keys() {
        // The first part has its own keys only. `v` is among the `others` of the second part.
        let wide = |start: usize| {
            let members: Vec<String> = (start..start + MAX_MEMBERS).map(|i| format!("\"k{i}\":1")).collect();
            members.join(",")
        };
        let records = vec![
            format!("{{\"v\":1,{}}}", wide(0)),
            format!("{{{},\"v\":\"text\"}}", wide(0)),
            format!("{{{}}}", wide(5000)),
        ];
        for bits in 0..8u64 {
            let merged = merged(&records, |position| bits & (1 << (position - 1)) != 0);
            assert!(merged.objects.members.len() <= MAX_MEMBERS);
            let values = |node: &Node| node.numbers.all.count + node.strings.filled.count;
            let member = merged.objects.members.iter().find(|member| member.key == "v");
            assert!(member.is_none_or(|member| values(&member.node) == 2), "{bits}");
            let counted: u64 = merged.objects.members.iter().map(|member| values(&member.node)).sum();
            let others = merged.objects.others.as_deref().map_or(0, values);
            assert_eq!(counted + others, 2 + 3 * MAX_MEMBERS as u64, "{bits}");
        }
    }
}
