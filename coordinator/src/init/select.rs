//! Declares groups of objects as sources: the `url` and the patterns that select exactly the objects
//! of a group, and a name.

use lakewright_common::config::object_patterns::{ObjectMatcher, ObjectPatterns, UrlPattern};

use super::group::Group;
use super::names::cleaned;

/// Number of objects up to which all are named if no patterns select them only.
const MAX_NAMED: usize = 8;
/// Names of objects that say nothing about their content.
const PLAIN_NAMES: &[&str] = &[
    "part", "data", "file", "export", "exports", "batch", "chunk", "output", "out", "records", "page", "dump", "json",
];
/// Names that a table cannot have, or that SQL reads as keywords.
const RESERVED_NAMES: &[&str] = &[
    "staging",
    "system",
    "information_schema",
    "all",
    "and",
    "any",
    "as",
    "case",
    "cast",
    "cross",
    "distinct",
    "else",
    "end",
    "exists",
    "fetch",
    "from",
    "full",
    "group",
    "having",
    "in",
    "inner",
    "intersect",
    "into",
    "is",
    "join",
    "left",
    "limit",
    "natural",
    "not",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "right",
    "select",
    "table",
    "then",
    "union",
    "user",
    "using",
    "values",
    "view",
    "when",
    "where",
    "window",
    "with",
];

/// The settings of a source that select its objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    /// Folder below the user's URL, without slashes at its ends; empty for the URL itself.
    pub(super) folder: String,
    pub(super) include: Vec<String>,
    pub(super) exclude: Vec<String>,
}

/// Returns the selection of `groups[at]` among all objects below a URL. `pattern` is the pattern at
/// the end of the URL.
pub(super) fn select(groups: &[Group], at: usize, keys: &[&str], pattern: Option<&UrlPattern>) -> Selection {
    let group = &groups[at];
    if groups.len() == 1 {
        return Selection::default();
    }
    if let Some(folder) = own_folder(group, keys).filter(|_| pattern.is_none()) {
        return Selection { folder, ..Selection::default() };
    }
    let include: Vec<String> = group.patterns.iter().map(|pattern| format!("/{pattern}")).collect();
    let selection = Selection { include: include.clone(), ..Selection::default() };
    if selects_exactly(&selection, group, keys) {
        return selection;
    }
    let others = groups.iter().enumerate().filter(|(other, _)| *other != at);
    let exclude = others.filter(|(_, other)| overlaps(&include, other, keys));
    let exclude = exclude.flat_map(|(_, other)| other.patterns.iter().map(|pattern| format!("/{pattern}"))).collect();
    let selection = Selection { exclude, ..selection };
    if selects_exactly(&selection, group, keys) {
        return selection;
    }
    // Name the objects of the group, or those of other groups that the patterns select too.
    let name = |key: usize| format!("/{}", literal(keys[key]));
    let selects = matcher(&include, &[]);
    let is_foreign = |key: &usize| {
        group.keys.binary_search(key).is_err() && selects.as_ref().is_some_and(|it| it.selects(keys[*key]))
    };
    let foreign: Vec<usize> = (0..keys.len()).filter(is_foreign).collect();
    if group.keys.len() <= foreign.len().max(MAX_NAMED) {
        let include = group.keys.iter().map(|key| name(*key)).collect();
        return Selection { include, ..Selection::default() };
    }
    Selection { include, exclude: foreign.into_iter().map(name).collect(), ..Selection::default() }
}

/// Returns the constant folders above all objects of a group, if no other object is below them.
fn own_folder(group: &Group, keys: &[&str]) -> Option<String> {
    let first = keys.get(*group.keys.first()?)?;
    let mut folder = "";
    for (slash, _) in first.match_indices('/') {
        let name = first[..slash].rsplit('/').next()?;
        let is_constant = group.folders.iter().any(|constant| *constant == name);
        if !is_constant || !group.keys.iter().all(|key| is_below(keys[*key], &first[..slash])) {
            break;
        }
        folder = &first[..slash];
    }
    let is_usable = !folder.is_empty() && !folder.contains(['*', '?', '[', '%', '#']);
    let is_own = keys.iter().filter(|key| is_below(key, folder)).count() == group.keys.len();
    (is_usable && is_own).then(|| folder.to_owned())
}

fn is_below(key: &str, folder: &str) -> bool {
    key.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn matcher(include: &[String], exclude: &[String]) -> Option<ObjectMatcher> {
    ObjectMatcher::new(&ObjectPatterns { url: None, include: include.to_vec(), exclude: exclude.to_vec() }).ok()
}

fn overlaps(include: &[String], other: &Group, keys: &[&str]) -> bool {
    matcher(include, &[]).is_some_and(|matcher| other.keys.iter().any(|key| matcher.selects(keys[*key])))
}

fn selects_exactly(selection: &Selection, group: &Group, keys: &[&str]) -> bool {
    matcher(&selection.include, &selection.exclude).is_some_and(|matcher| {
        let selected = keys.iter().enumerate().filter(|(_, key)| matcher.selects(key)).map(|(index, _)| index);
        selected.eq(group.keys.iter().copied())
    })
}

/// Escapes the special characters of a pattern.
pub(super) fn literal(key: &str) -> String {
    key.chars().fold(String::new(), |text, c| {
        if matches!(c, '*' | '?' | '[') {
            text + "[" + c.encode_utf8(&mut [0; 4]) + "]"
        } else {
            text + c.encode_utf8(&mut [0; 4])
        }
    })
}

/// Returns a name for a source: the name of its objects if several groups have the same folders,
/// otherwise its last constant folder, or the last folder of the URL.
pub(super) fn name_of(groups: &[Group], at: usize, url: &str) -> String {
    let group = &groups[at];
    let words = |shape: &str| {
        let name = cleaned(&shape.replace('*', "_")).to_ascii_lowercase();
        (shape.chars().any(char::is_alphabetic)).then_some(name)
    };
    let object = words(&group.name).filter(|name| !PLAIN_NAMES.contains(&name.as_str()));
    let folder = group.folders.iter().rev().find_map(|folder| words(folder));
    let shares_folders = groups.iter().enumerate().any(|(other, it)| other != at && it.folders == group.folders);
    let names = match &object {
        Some(_) if shares_folders => [object, folder, None],
        _ => [folder, words_of_url(url), object],
    };
    let name = names.into_iter().flatten().next().unwrap_or_else(|| "data".to_owned());
    if RESERVED_NAMES.contains(&name.as_str()) { format!("{name}_data") } else { name }
}

/// Returns the name of the last folder or object of a URL.
fn words_of_url(url: &str) -> Option<String> {
    let path = url.split_once("://").map_or(url, |(_, path)| path);
    let names = path.rsplit('/').filter(|name| !name.contains(['*', '?', '[', '=']));
    let stems = names.map(|name| super::group::split_name(name).0);
    let mut names = stems.filter(|stem| stem.chars().filter(|c| c.is_alphabetic()).count() > 1);
    names.next().map(|stem| cleaned(stem).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::group::{Grouping, Level};

    fn selections(keys: &[&str]) -> Vec<(String, Selection)> {
        let groups = Grouping::new(keys).groups();
        let selected = (0..groups.len()).map(|at| (name_of(&groups, at, "in/mine"), select(&groups, at, keys, None)));
        selected.collect()
    }

    fn of_folder(folder: &str) -> Selection {
        Selection { folder: folder.to_owned(), ..Selection::default() }
    }

    fn of_patterns(include: &[&str], exclude: &[&str]) -> Selection {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Selection { folder: String::new(), include: texts(include), exclude: texts(exclude) }
    }

    #[test]
    fn each_source_selects_its_objects_only() {
        for (keys, expected) in [
            (&["2018/a.json", "2019/a.json"][..], vec![("mine", Selection::default())]),
            (
                &["orders/2018/1.json", "users/1.json"],
                vec![("orders", of_folder("orders")), ("users", of_folder("users"))],
            ),
            (
                &["orders.json", "users.json"],
                vec![("orders", of_patterns(&["/orders.json"], &[])), ("users", of_patterns(&["/users.json"], &[]))],
            ),
            (
                &["1.json", "users.json"],
                vec![
                    ("mine", of_patterns(&["/*.json"], &["/users.json"])),
                    ("users", of_patterns(&["/users.json"], &[])),
                ],
            ),
            (
                &["group/1.json", "x/readme.md"],
                vec![("group_data", of_folder("group")), ("mine", of_patterns(&["/*/readme.md"], &[]))],
            ),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
            assert_eq!(selections(keys), expected, "{keys:?}");
        }
    }

    #[test]
    fn groups_whose_patterns_overlap_share_no_object() {
        for count in [3, 30] {
            let names = |folder: &str| {
                (0..count)
                    .map(|i| format!("{folder}/{}x.json", "abcdefghijklmnopqrstuvwxyzabcdefghij".split_at(i).0))
                    .collect::<Vec<_>>()
            };
            let mut keys = [names("foods"), names("words")].concat();
            keys.extend(["foods/verbs.json".to_owned(), "words/verbs.json".to_owned()]);
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let mut grouping = Grouping::new(&keys);
            grouping.generalize(Level::Name, &(0..2 * count).collect::<Vec<_>>());
            grouping.generalize(Level::Folder(0), &[2 * count, 2 * count + 1]);
            let groups = grouping.groups();
            assert_eq!(groups.len(), 3);
            for (at, group) in groups.iter().enumerate() {
                let selection = select(&groups, at, &keys, None);
                assert!(selects_exactly(&selection, group, &keys), "{group:?}: {selection:?}");
            }
        }
    }

    #[test]
    fn a_single_source_has_the_name_of_its_url() {
        let groups = Grouping::new(&["1.json"]).groups();
        for (url, name) in [
            ("data/song_data", "song_data"),
            ("s3://bucket/Raw-Logs/2018/*.json", "raw_logs"),
            ("exports/orders.json.gz", "orders"),
            ("s3://bucket", "bucket"),
            (".", "data"),
        ] {
            assert_eq!(name_of(&groups, 0, url), name, "{url}");
        }
    }
}
