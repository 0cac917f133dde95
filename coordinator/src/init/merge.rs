//! Merges groups of objects that differ only in a name, if their records are similar.
//!
//! `orders.json` and `users.json` are two sources, and `ann/profile.json` and `bob/profile.json` are
//! one. The keys of objects do not show the difference. So if there would be too many sources, the
//! first records of groups are compared, level by level: the folders, and the names of objects.
//!
//! ```text
//! ann/orders.json  ann/users.json      folders: records of `*/orders.json` are similar, and so are
//! bob/orders.json  bob/users.json   ─►          those of `*/users.json`. Each becomes one group.
//! …                                    names:   `orders` and `users` have different keys.
//! ```

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use lakewright_common::config::resolved::Limits;
use lakewright_common::error::Result;
use lakewright_common::storage::Storage;
use lakewright_common::storage::object::SourceObject;

use super::cursor::Cursor;
use super::detect::head;
use super::group::{Group, Grouping};

/// Maximum number of groups below one URL that are not compared. For a pattern it is one.
const MAX_GROUPS: usize = 20;
/// Maximum number of groups below one URL. With more, levels count as variable even if the records
/// differ.
const MAX_SOURCES: usize = 200;
/// Maximum number of groups at one level that are all compared. If there are more, a sample is.
const MAX_COMPARED: usize = 1000;
/// Number of sets of groups that are compared if there are too many groups.
const COMPARED_SETS: usize = 3;
/// Number of groups of each of these sets.
const COMPARED_GROUPS: usize = 30;
/// Number of objects that are read at the same time.
const CONCURRENT_READS: usize = 16;
/// Number of bytes of an object that are inspected.
const HEAD_BYTES: usize = 64 << 10;
/// Number of records of an object that are inspected.
const MAX_RECORDS: usize = 20;

/// Keys of the first records of an object; `None` if they are not known.
type Keys = Option<FirstKeys>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct FirstKeys {
    /// The keys of the records. For a document whose records are inside of it, the keys of the document
    /// and of its records. For arrays, the kinds of their items.
    keys: BTreeSet<String>,
    is_of_objects: bool,
}

/// Reads the first records of objects, each object once.
struct FirstRecords<'a> {
    storage: &'a Storage,
    objects: &'a [SourceObject],
    limits: &'a Limits,
    known: BTreeMap<usize, Keys>,
}

/// Groups objects, and merges groups with similar records if there are too many. If the user named
/// the objects by a pattern (`is_pattern`), two groups are too many.
///
/// # Errors
/// A storage error.
pub(super) async fn merged_groups(
    storage: &Storage,
    objects: &[SourceObject],
    is_pattern: bool,
    limits: &Limits,
) -> Result<Vec<Group>> {
    let most = if is_pattern { 1 } else { MAX_GROUPS };
    let keys: Vec<&str> = objects.iter().map(|object| object.key.as_str()).collect();
    let mut grouping = Grouping::new(&keys);
    let mut first_records = FirstRecords { storage, objects, limits, known: BTreeMap::new() };
    let mut compared = Vec::new();
    while grouping.count() > most {
        // A merge can change which level has the most names.
        let Some(level) = grouping.levels().into_iter().find(|level| !compared.contains(level)) else { break };
        compared.push(level);
        let sets = grouping.sets(level);
        if sets.iter().map(Vec::len).sum::<usize>() <= MAX_COMPARED {
            for set in &sets {
                let similar = first_records.similar(set).await?;
                let keys: Vec<usize> = similar.into_iter().flat_map(|at| set[at].iter().copied()).collect();
                grouping.generalize(level, &keys);
            }
        } else if first_records.are_similar_in_samples(sets).await? {
            grouping.generalize_all(level);
        }
    }
    while grouping.count() > MAX_SOURCES {
        let Some(level) = grouping.levels().first().copied() else { break };
        let count = grouping.count();
        if count <= MAX_COMPARED {
            // Records of different keys can share a source, but objects and other values cannot.
            let of_objects = first_records.of_objects(grouping.sets(level)).await?;
            grouping.generalize(level, &of_objects);
        }
        if grouping.count() == count {
            grouping.generalize_all(level);
        }
    }
    Ok(grouping.groups())
}

impl FirstRecords<'_> {
    /// Whether most groups are similar in each of some large sets.
    async fn are_similar_in_samples(&mut self, mut sets: Vec<Vec<Vec<usize>>>) -> Result<bool> {
        sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
        for set in sets.into_iter().take(COMPARED_SETS) {
            let step = set.len().div_ceil(COMPARED_GROUPS);
            let sample: Vec<Vec<usize>> = set.into_iter().step_by(step).collect();
            if self.similar(&sample).await?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the indexes of the groups that have similar records, if they are more than half of
    /// the groups. Each group is the indexes of its objects.
    async fn similar(&mut self, groups: &[Vec<usize>]) -> Result<Vec<usize>> {
        let firsts: Vec<usize> = groups.iter().filter_map(|group| group.first().copied()).collect();
        self.read(&firsts).await?;
        let keys: Vec<&Keys> = firsts.iter().filter_map(|first| self.known.get(first)).collect();
        Ok(largest_cluster(&keys))
    }

    /// Returns the indexes of the objects in groups whose first records are objects.
    async fn of_objects(&mut self, sets: Vec<Vec<Vec<usize>>>) -> Result<Vec<usize>> {
        let groups: Vec<Vec<usize>> = sets.into_iter().flatten().collect();
        let firsts: Vec<usize> = groups.iter().filter_map(|group| group.first().copied()).collect();
        self.read(&firsts).await?;
        let is_of_objects = |group: &Vec<usize>| {
            let first = group.first().and_then(|first| self.known.get(first));
            first.is_some_and(|keys| keys.as_ref().is_some_and(|keys| keys.is_of_objects))
        };
        Ok(groups.into_iter().filter(is_of_objects).flatten().collect())
    }

    /// Reads objects that were not read before.
    async fn read(&mut self, objects: &[usize]) -> Result<()> {
        let unread = objects.iter().copied().filter(|object| !self.known.contains_key(object));
        let (storage, all, limits) = (self.storage, self.objects, self.limits);
        let read: Vec<(usize, Keys)> = stream::iter(unread.collect::<Vec<_>>())
            .map(|index| async move {
                let head = head(storage, &all[index], limits, HEAD_BYTES).await?;
                Ok::<_, lakewright_common::error::Error>((index, head.ok().and_then(|(text, _)| first_keys(&text))))
            })
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await?;
        self.known.extend(read);
        Ok(())
    }
}

/// Returns the largest set of similar items, if it has more than half of all items.
fn largest_cluster(items: &[&Keys]) -> Vec<usize> {
    let mut clusters: Vec<Vec<usize>> = Vec::new();
    for (index, keys) in items.iter().enumerate() {
        match clusters.iter_mut().find(|cluster| are_similar(items[cluster[0]], keys)) {
            Some(cluster) => cluster.push(index),
            None => clusters.push(vec![index]),
        }
    }
    let largest = clusters.into_iter().max_by_key(Vec::len).unwrap_or_default();
    if largest.len() * 2 > items.len() { largest } else { Vec::new() }
}

/// Whether at least half of the keys of two objects are common to both.
fn are_similar(one: &Keys, other: &Keys) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            let common = one.keys.intersection(&other.keys).count();
            one.is_of_objects == other.is_of_objects && common * 2 >= one.keys.union(&other.keys).count()
        }
        // Nothing is known about both.
        _ => false,
    }
}

/// Returns the keys of the first objects of a text: of its lines, or of the items of an array.
fn first_keys(text: &[u8]) -> Keys {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches(|c: char| c == '\u{FEFF}' || c == '[' || c.is_ascii_whitespace());
    let mut cursor = Cursor::new(text);
    let mut keys = BTreeSet::new();
    for record in 0..MAX_RECORDS {
        if cursor.peek() != Some(b'{') {
            return if record > 0 { Some(FirstKeys { keys, is_of_objects: true }) } else { kinds_of_items(text) };
        }
        add_keys(&mut cursor, "", &mut keys);
        // Items of an array are separated by commas, and lines are not.
        if cursor.peek() == Some(b',') {
            cursor.next_item();
        }
    }
    Some(FirstKeys { keys, is_of_objects: true })
}

/// Returns the kinds of the first items of an array, each with its position; `None` if the text is not
/// inside of an array.
fn kinds_of_items(text: &str) -> Keys {
    let mut kinds = BTreeSet::new();
    let mut cursor = Cursor::new(text);
    while kinds.len() < MAX_RECORDS {
        cursor.peek();
        let start = cursor.offset();
        cursor.skip_value();
        let kind = match cursor.since(start) {
            "true" | "false" => "boolean",
            "null" => "null",
            value => match value.bytes().next() {
                Some(b'"') => "text",
                Some(b'[') => "array",
                Some(b'{') => "object",
                Some(b'-' | b'0'..=b'9') => "number",
                _ => break,
            },
        };
        kinds.insert(format!("{} {kind}", kinds.len()));
        if !cursor.next_item() {
            break;
        }
    }
    (!kinds.is_empty()).then_some(FirstKeys { keys: kinds, is_of_objects: false })
}

/// Adds the keys of the object at the cursor, and those of the first object in each array of objects.
/// `around` is the path of the object.
fn add_keys(cursor: &mut Cursor<'_>, around: &str, keys: &mut BTreeSet<String>) {
    let mut is_inside = cursor.enter();
    while is_inside {
        let key = format!("{around}{}", cursor.key().inside);
        let start = cursor.offset();
        cursor.skip_value();
        let value = cursor.since(start);
        if around.is_empty() && value.starts_with('[') {
            let mut inner = Cursor::new(value);
            if inner.enter() && inner.peek() == Some(b'{') {
                add_keys(&mut inner, &format!("{key}[]."), keys);
            }
        }
        keys.insert(key);
        is_inside = cursor.next_item();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Keys {
        first_keys(text.as_bytes())
    }

    #[test]
    fn the_keys_of_the_first_records_are_found() {
        for (text, expected) in [
            ("{\"a\":1,\"b\":{\"x\":[{}]}}\n{\"c\":\"}\"}", Some("a b c")),
            ("[\n {\"a\": 1}, {\"b\": 2}]", Some("a b")),
            ("\u{FEFF}{\"a\":1}", Some("a")),
            ("{\"a\":1,\"b\":[1,2", Some("a b")),
            ("{\"next\":1,\"data\":[{\"id\":1,\"x\":[{\"y\":1}]},{\"z\":2}]}", Some("data data[].id data[].x next")),
            ("{}", Some("")),
            ("id,name", None),
            ("name,id", None),
            ("[1,\"a\"]", Some("0 number 1 text")),
            ("[[1,null],[2,3]]", Some("0 number 1 null")),
            ("", None),
        ] {
            let found = keys(text).map(|found| found.keys.into_iter().collect::<Vec<_>>().join(" "));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn most_items_must_be_similar() {
        let orders = keys(r#"{"id":1,"total":2,"user":3}"#);
        let other_orders = keys(r#"{"id":1,"total":2,"user":3,"note":4,"date":5}"#);
        let users = keys(r#"{"id":1,"name":2,"mail":3}"#);
        for (items, expected) in [
            (vec![&orders, &other_orders, &users], vec![0, 1]),
            (vec![&users, &orders], vec![]),
            (vec![&orders, &users, &orders, &users], vec![]),
            (vec![&orders], vec![0]),
            (vec![&None, &None, &orders], vec![]),
            (vec![], vec![]),
        ] {
            assert_eq!(largest_cluster(&items), expected);
        }
    }
}
