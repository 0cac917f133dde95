//! Groups the keys of objects by their shape: one group is one source.
//!
//! The shape of a key is the key with its variable parts (digits, dates, ids, values of hive
//! folders) replaced by `*`. Objects are in one group if the constant parts of their folders, the
//! shapes of their names and their extensions are equal. The depth of a folder does not matter, so
//! `logs/2018/11/a-1.json` and `logs/a-2.json` are in one group.

use std::collections::{BTreeMap, BTreeSet};

/// Extensions of compressed objects. An object and its compressed form are in one group.
const COMPRESSIONS: &[&str] = &["gz", "gzip", "zst", "zstd", "bz2", "bzip2", "xz", "snappy", "sz", "zip", "lz4"];
/// Minimum number of letters and digits of a word that counts as an id.
const MIN_ID_LENGTH: usize = 8;
/// Folders with names of at most this many characters are variable: they are shards, such as `A`
/// and `0f`, or numbers.
const MAX_SHARD_LENGTH: usize = 2;
/// Minimum number of constant letters that make a folder or a name constant.
const MIN_CONSTANT_LETTERS: usize = 3;

/// Objects with keys of one shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Shapes of the constant folders, from the outermost.
    pub(super) folders: Vec<String>,
    /// Shape of the name without its extensions; `*` if all of it is variable.
    pub(super) name: String,
    /// Extension without compression, in lower case; may be empty.
    pub(super) extension: String,
    /// Patterns that match the keys, relative to the root.
    pub(super) patterns: BTreeSet<String>,
    /// Indexes of the keys, in ascending order.
    pub(super) keys: Vec<usize>,
}

/// A key, with its variable parts replaced by `*`.
#[derive(Debug, Clone)]
struct Shape {
    /// Folders, each with its pattern and with whether it is constant.
    folders: Vec<(String, bool)>,
    name: String,
    extension: String,
    /// Extensions as they are in the key, such as `.json.gz`.
    suffix: String,
}

/// Constant parts of a shape, which identify a group.
type Identity = (Vec<String>, String, String);

/// A part of keys that may be variable although its names look constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// The folder at a depth, from 0.
    Folder(usize),
    /// The name of the object.
    Name,
}

/// Keys with their shapes.
#[derive(Debug)]
pub(super) struct Grouping {
    shapes: Vec<Shape>,
}

impl Grouping {
    pub(super) fn new(keys: &[&str]) -> Self {
        Self { shapes: keys.iter().map(|key| Shape::of(key)).collect() }
    }

    /// Returns the number of groups.
    pub(super) fn count(&self) -> usize {
        self.shapes.iter().map(Shape::identity).collect::<BTreeSet<_>>().len()
    }

    /// Returns the levels at which constant names differ, those with the most names first.
    pub(super) fn levels(&self) -> Vec<Level> {
        let depth = self.shapes.iter().map(|shape| shape.folders.len()).max().unwrap_or(0);
        let levels = (0..depth).map(Level::Folder).chain([Level::Name]);
        let count =
            |level: Level| self.shapes.iter().filter_map(|shape| shape.constant(level)).collect::<BTreeSet<_>>().len();
        let mut levels: Vec<(usize, Level)> = levels.map(|level| (count(level), level)).collect();
        levels.retain(|(names, _)| *names > 1);
        levels.sort_by_key(|level| std::cmp::Reverse(*level));
        levels.into_iter().map(|(_, level)| level).collect()
    }

    /// Returns the sets of groups that would be one group if names at a level did not count. Each
    /// group is the indexes of its keys.
    pub(super) fn sets(&self, level: Level) -> Vec<Vec<Vec<usize>>> {
        let mut sets: BTreeMap<Identity, BTreeMap<Identity, Vec<usize>>> = BTreeMap::new();
        for (index, shape) in self.shapes.iter().enumerate() {
            let mut general = shape.clone();
            general.generalize(level);
            sets.entry(general.identity()).or_default().entry(shape.identity()).or_default().push(index);
        }
        sets.into_values()
            .map(|groups| groups.into_values().collect())
            .filter(|groups: &Vec<_>| groups.len() > 1)
            .collect()
    }

    /// Makes the names of some keys at a level variable.
    pub(super) fn generalize(&mut self, level: Level, keys: &[usize]) {
        keys.iter().for_each(|key| self.shapes[*key].generalize(level));
    }

    /// Makes all names at a level variable.
    pub(super) fn generalize_all(&mut self, level: Level) {
        self.shapes.iter_mut().for_each(|shape| shape.generalize(level));
    }

    /// Returns the groups, in the order of their first keys.
    pub(super) fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut known: BTreeMap<Identity, usize> = BTreeMap::new();
        for (index, shape) in self.shapes.iter().enumerate() {
            let at = *known.entry(shape.identity()).or_insert_with_key(|(folders, name, extension)| {
                let (folders, name, extension) = (folders.clone(), name.clone(), extension.clone());
                groups.push(Group { folders, name, extension, patterns: BTreeSet::new(), keys: Vec::new() });
                groups.len() - 1
            });
            groups[at].patterns.insert(shape.pattern());
            groups[at].keys.push(index);
        }
        groups
    }
}

impl Shape {
    fn of(key: &str) -> Self {
        let (folders, file) = key.rsplit_once('/').unwrap_or(("", key));
        let folders = folders.split('/').filter(|folder| !folder.is_empty()).map(folder_shape).collect();
        let (stem, extension, suffix) = split_name(file);
        let name = shape(stem);
        let name = if constant_letters(&name) < MIN_CONSTANT_LETTERS && name.contains('*') { "*".into() } else { name };
        Self { folders, name, extension, suffix }
    }

    /// Returns the name at a level, if it is constant.
    fn constant(&self, level: Level) -> Option<&str> {
        match level {
            Level::Name => Some(self.name.as_str()).filter(|name| *name != "*"),
            Level::Folder(depth) => {
                self.folders.get(depth).filter(|(_, is_constant)| *is_constant).map(|(folder, _)| folder.as_str())
            }
        }
    }

    /// Makes the name at a level variable.
    fn generalize(&mut self, level: Level) {
        match level {
            Level::Name => "*".clone_into(&mut self.name),
            Level::Folder(depth) => {
                if let Some(folder) = self.folders.get_mut(depth) {
                    *folder = ("*".to_owned(), false);
                }
            }
        }
    }

    fn identity(&self) -> Identity {
        let folders = self.folders.iter().filter(|(_, constant)| *constant).map(|(folder, _)| folder.clone()).collect();
        (folders, self.name.clone(), self.extension.clone())
    }

    /// Returns the pattern of keys with this shape.
    fn pattern(&self) -> String {
        let folders = self.folders.iter().fold(String::new(), |path, (folder, _)| path + folder + "/");
        format!("{folders}{}{}", self.name, escaped(&self.suffix))
    }
}

/// Returns the pattern of a folder, and whether it is constant.
fn folder_shape(folder: &str) -> (String, bool) {
    if let Some((name, _)) = hive_parts(folder) {
        return (format!("{}=*", escaped(name)), false);
    }
    if folder.chars().count() <= MAX_SHARD_LENGTH {
        return ("*".to_owned(), false);
    }
    let shape = shape(folder);
    if !shape.contains('*') || constant_letters(&shape) >= MIN_CONSTANT_LETTERS {
        return (shape, true);
    }
    ("*".to_owned(), false)
}

/// Splits a folder such as `year=2018` into its name and its value.
pub(super) fn hive_parts(folder: &str) -> Option<(&str, &str)> {
    folder.split_once('=').filter(|(name, _)| !name.is_empty())
}

/// Splits the name of an object into its stem, its extension without compression, and both
/// extensions as they are written.
pub(super) fn split_name(file: &str) -> (&str, String, String) {
    let mut stem = file;
    if let Some((before, last)) = stem.rsplit_once('.')
        && COMPRESSIONS.contains(&last.to_ascii_lowercase().as_str())
    {
        stem = before;
    }
    let mut extension = String::new();
    if let Some((before, last)) = stem.rsplit_once('.')
        && !before.is_empty()
        && last.len() <= MIN_ID_LENGTH
        && last.starts_with(|first: char| first.is_ascii_alphabetic())
    {
        stem = before;
        extension = last.to_ascii_lowercase();
    }
    (stem, extension, file[stem.len()..].to_owned())
}

/// Replaces the variable parts of a text by `*`, and escapes characters that are special in a
/// pattern.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    let mut word = String::new();
    for c in text.chars().map(Some).chain([None]) {
        if let Some(c) = c.filter(|c| c.is_alphanumeric()) {
            word.push(c);
            continue;
        }
        push_word(&mut shape, &word);
        word.clear();
        shape.push_str(&c.map(escaped_character).unwrap_or_default());
    }
    shape
}

/// Appends a word. Its digits, or the whole word if it is an id, become `*`.
fn push_word(shape: &mut String, word: &str) {
    if is_id(word) {
        return push_variable(shape);
    }
    let mut was_digit = false;
    for c in word.chars() {
        if !c.is_ascii_digit() {
            shape.push(c);
        } else if !was_digit {
            push_variable(shape);
        }
        was_digit = c.is_ascii_digit();
    }
}

/// Appends a `*`. Together with a `*` before it and a single sign between them it becomes one, so
/// that a date is one part.
fn push_variable(shape: &mut String) {
    let before = shape.strip_suffix(['-', '_', '.', ':', ' ']).unwrap_or(shape);
    if before.ends_with('*') {
        shape.truncate(before.len());
    } else {
        shape.push('*');
    }
}

/// Whether a word of letters and digits is an id: hexadecimal, or a mixture of both.
fn is_id(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let is_hexadecimal = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    word.len() >= MIN_ID_LENGTH && digits > 0 && (is_hexadecimal || (digits >= 3 && digits < word.len()))
        || (is_hexadecimal && digits > 0 && digits < word.len() && word.len() >= 4)
}

fn constant_letters(shape: &str) -> usize {
    shape.chars().filter(|c| c.is_alphabetic()).count()
}

fn escaped(text: &str) -> String {
    text.chars().map(escaped_character).collect()
}

fn escaped_character(c: char) -> String {
    if matches!(c, '*' | '?' | '[') { format!("[{c}]") } else { c.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_parts_of_a_name_are_wildcards() {
        for (text, expected) in [
            ("2018-11-21-events", "*-events"),
            ("part-00001", "part-*"),
            ("events_20181121T215647Z", "events_*"),
            ("TRAABWC128FF47A540", "*"),
            ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "*"),
            ("orders", "orders"),
            ("orders2", "orders*"),
            ("a[1]", "a[[]*]"),
            ("deadbeef", "deadbeef"),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn a_name_is_split_before_its_extensions() {
        for (file, stem, extension, suffix) in [
            ("a.json.gz", "a", "json", ".json.gz"),
            ("a.JSON", "a", "json", ".JSON"),
            ("a.gz", "a", "", ".gz"),
            ("a", "a", "", ""),
            ("v1.2018", "v1.2018", "", ""),
        ] {
            assert_eq!(split_name(file), (stem, extension.to_owned(), suffix.to_owned()), "{file}");
        }
    }

    fn groups_of(keys: &[&str]) -> Vec<(String, Vec<usize>)> {
        let groups = Grouping::new(keys).groups();
        groups.into_iter().map(|group| (format!("{:?} {}", group.folders, group.name), group.keys)).collect()
    }

    #[test]
    fn objects_of_one_shape_are_one_group() {
        for (keys, expected) in [
            (&["A/A/B/TRAABWC128FF47A540.json", "A/B/C/TRABCEI128F424C983.json"][..], vec![("[] *", vec![0, 1])]),
            (
                &["2018/11/2018-11-01-events.json", "2018/12/2018-12-01-events.json.gz"],
                vec![("[] *-events", vec![0, 1])],
            ),
            (&["year=2018/month=01/a.json", "year=2019/month=02/a.json"], vec![("[] a", vec![0, 1])]),
            (
                &["orders/2018/1.json", "orders/2.json", "users/1.json"],
                vec![("[\"orders\"] *", vec![0, 1]), ("[\"users\"] *", vec![2])],
            ),
            (&["orders.json", "users.json"], vec![("[] orders", vec![0]), ("[] users", vec![1])]),
            (&["a.csv", "a.json"], vec![("[] a", vec![0]), ("[] a", vec![1])]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(text, keys)| (text.to_owned(), keys)).collect();
            assert_eq!(groups_of(keys), expected, "{keys:?}");
        }
    }

    #[test]
    fn names_at_a_level_can_be_made_variable() {
        let words = ["amber", "birch", "cedar"];
        let keys: Vec<String> =
            words.iter().flat_map(|word| ["orders", "users"].map(|name| format!("{word}/{name}.json"))).collect();
        let mut grouping = Grouping::new(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((grouping.count(), grouping.levels()), (6, vec![Level::Folder(0), Level::Name]));
        let one = |keys: &[usize]| keys.iter().map(|key| vec![*key]).collect::<Vec<_>>();
        assert_eq!(grouping.sets(Level::Folder(0)), [one(&[0, 2, 4]), one(&[1, 3, 5])]);
        assert_eq!(grouping.sets(Level::Name), [one(&[0, 1]), one(&[2, 3]), one(&[4, 5])]);
        grouping.generalize(Level::Folder(0), &[0, 2]);
        assert_eq!((grouping.count(), grouping.sets(Level::Name).len()), (5, 1));
        grouping.generalize_all(Level::Folder(0));
        let groups = grouping.groups();
        assert_eq!(groups.iter().map(|group| group.keys.as_slice()).collect::<Vec<_>>(), [[0, 2, 4], [1, 3, 5]]);
        assert_eq!(groups[0].patterns, BTreeSet::from(["*/orders.json".to_owned()]));
    }
}
