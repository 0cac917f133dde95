//! The outline of a document: how many values it has, and which array or object holds the records.
//!
//! Scans the text once and builds no tree. Text that is not JSON gives some outline; whether the
//! records can be read is found out later, by the reader.
//!
//! Example: `{"exported":"2026","log":{"entries":[{"id":1},{"id":2}]}}` is one value, and its array
//! `log.entries` holds more than half of its bytes.

use std::collections::BTreeMap;

use lakewright_common::config::records_path::needs_quotes;
use lakewright_common::config::resolved::RecordKind;

use super::members::{MemberCounts, Members};

/// Minimum percentage of the rows of a table that have the same number of items.
const MIN_REGULAR_PERCENT: u64 = 90;
/// Minimum number of columns of a table.
const MIN_COLUMNS: u64 = 2;
/// Maximum number of different lengths of rows that are counted.
const MAX_WIDTHS: usize = 64;

/// Outline of the text of an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// Number of values outside of any other value.
    pub(super) values: u64,
    first: Option<First>,
    /// Keys of the first value, at most [`MAX_KEYS`].
    pub(super) keys: Vec<String>,
    /// Arrays of records that are inside of objects only.
    arrays: Vec<Array>,
    /// Objects whose members may be records, from the innermost.
    members: Vec<Members>,
    /// Number of members of the first value that are objects, and of others.
    pub(super) root_members: (u64, u64),
    /// Kind of most items of the first value, if it is an array with items.
    pub(super) root_items: Option<RecordKind>,
    bytes: usize,
}

/// Kind of the first value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Object,
    Array,
    Other,
}

/// An array of objects, or of the rows of a table.
#[derive(Debug, PartialEq, Eq)]
struct Array {
    /// Keys that lead to it.
    path: Vec<String>,
    kind: RecordKind,
    bytes: usize,
}

/// Counts of the arrays in an array, which may be the rows of a table.
#[derive(Debug, Default)]
struct Rows {
    all: u64,
    /// Number of rows with each number of items, of at most [`MAX_WIDTHS`] numbers.
    widths: BTreeMap<u64, u64>,
    /// Number of rows with a text. Arrays of numbers are rather coordinates or matrices.
    with_text: u64,
}

/// An object or array around the current byte.
struct Container<'a> {
    is_array: bool,
    start: usize,
    /// Text of the last key, with its quotes.
    key: &'a [u8],
    /// Whether the next string is a key.
    expects_key: bool,
    /// Whether no array is around it.
    is_inside_objects: bool,
    /// Counts of its items or members.
    members: MemberCounts<'a>,
    rows: Rows,
}

/// Maximum number of keys of the document that are kept.
const MAX_KEYS: usize = 20;

/// Scans `text`, which may end early.
pub(super) fn outline(text: &[u8]) -> Outline {
    let mut outline = Outline { bytes: text.len(), ..Outline::default() };
    let mut open: Vec<Container<'_>> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => {
                let end = end_of_string(text, at);
                match open.last_mut() {
                    Some(object) if object.expects_key => {
                        object.key = &text[at..end];
                        object.expects_key = false;
                        if object.is_inside_objects {
                            object.members.names.push(&text[at..end]);
                        }
                        outline.note_key(open.len(), &text[at..end]);
                    }
                    around => _ = outline.note_value(around).map(|counts| counts.texts += 1),
                }
                at = end;
                continue;
            }
            byte @ (b'{' | b'[') => {
                let is_array = byte == b'[';
                if open.is_empty() {
                    outline.first.get_or_insert(if is_array { First::Array } else { First::Object });
                }
                if let Some(counts) = outline.note_value(open.last_mut()) {
                    *(if is_array { &mut counts.arrays } else { &mut counts.objects }) += 1;
                }
                open.push(Container {
                    is_array,
                    start: at,
                    key: b"",
                    expects_key: !is_array,
                    is_inside_objects: open.last().is_none_or(|around| around.is_inside_objects && !around.is_array),
                    members: MemberCounts::default(),
                    rows: Rows::default(),
                });
            }
            b'}' | b']' => {
                if let Some(closed) = open.pop() {
                    outline.note_container(&mut open, &closed, at + 1, false);
                }
            }
            b',' => {
                if let Some(object) = open.last_mut() {
                    object.expects_key = !object.is_array;
                }
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'-' => {
                if let Some(counts) = outline.note_value(open.last_mut()) {
                    *match byte {
                        b'n' => &mut counts.nulls,
                        b't' | b'f' => &mut counts.booleans,
                        _ => &mut counts.numbers,
                    } += 1;
                }
                while text.get(at + 1).is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)) {
                    at += 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    // If the text was cut off, the open arrays hold the rest of it.
    while let Some(cut_off) = open.pop() {
        outline.note_container(&mut open, &cut_off, text.len(), true);
    }
    outline
}

impl Outline {
    /// Returns the path of the records and their kind, if the text is one object and exactly one array
    /// of records holds at least half of its bytes.
    pub(super) fn records(&self) -> Option<(String, RecordKind)> {
        if !self.is_one_object() {
            return None;
        }
        let mut large = self.arrays.iter().filter(|array| array.bytes * 2 >= self.bytes);
        let (Some(records), None) = (large.next(), large.next()) else { return None };
        Some((joined(&records.path)?, records.kind))
    }

    /// Returns the outermost object whose members may be records, if the text is one object.
    pub(super) fn members(&self) -> Option<&Members> {
        self.members.last().filter(|_| self.is_one_object())
    }

    /// Returns the kind of the records if each document, or each item of an array, is one; `None` if
    /// there is nothing.
    pub(super) fn kind_of_document(&self) -> Option<RecordKind> {
        match self.first {
            None => None,
            Some(First::Object) => Some(RecordKind::Object),
            Some(First::Array) => self.root_items,
            Some(First::Other) => Some(RecordKind::Value),
        }
    }

    pub(super) fn is_one_object(&self) -> bool {
        self.values == 1 && self.first == Some(First::Object)
    }

    /// Counts a value of the text. Returns the counts of its container `around`, if it has one.
    fn note_value<'a, 'b>(&mut self, around: Option<&'b mut Container<'a>>) -> Option<&'b mut MemberCounts<'a>> {
        if around.is_none() {
            self.values += 1;
            self.first.get_or_insert(First::Other);
        }
        around.map(|container| &mut container.members)
    }

    fn note_key(&mut self, depth: usize, key: &[u8]) {
        if depth == 1 && self.values == 1 && self.keys.len() < MAX_KEYS {
            self.keys.extend(text_of(key));
        }
    }

    /// Notes an array or an object that ends or is cut off, and is inside of `around`.
    fn note_container<'a>(
        &mut self,
        around: &mut [Container<'a>],
        ended: &Container<'a>,
        end: usize,
        is_cut_off: bool,
    ) {
        if let Some(array) = around.last_mut().filter(|around| ended.is_array && around.is_array && !is_cut_off) {
            array.rows.add(&ended.members);
        }
        if self.values != 1 || !ended.is_inside_objects {
            return;
        }
        let (members, bytes) = (&ended.members, end - ended.start);
        let path = |around: &[Container<'_>]| around.iter().map(|object| text_of(object.key)).collect::<Option<_>>();
        if !ended.is_array {
            let records = path(around).and_then(|path| members.records(path, bytes, self.bytes));
            self.members.extend(records);
            match around.last_mut() {
                Some(around) => around.members.add(&members.names),
                None => self.root_members = (members.objects, members.count() - members.objects),
            }
        } else if around.is_empty() {
            self.root_items = kind_of_most(members);
        } else if let Some(kind) = ended.kind_of_records() {
            self.arrays.extend(path(around).map(|path| Array { path, kind, bytes }));
        }
    }
}

impl Container<'_> {
    /// Returns the kind of the items of this array, if they may be records: all of them are objects
    /// or the rows of a table.
    fn kind_of_records(&self) -> Option<RecordKind> {
        let all = self.members.filled();
        let is_table = || {
            let Rows { all, widths, with_text } = &self.rows;
            let usual = widths.iter().max_by_key(|(_, rows)| **rows);
            let are_regular =
                |(width, rows): (&u64, &u64)| *width >= MIN_COLUMNS && *rows * 100 >= *all * MIN_REGULAR_PERCENT;
            *all > 1 && usual.is_some_and(are_regular) && with_text * 2 >= *all
        };
        match (self.members.objects, self.members.arrays) {
            (objects, _) if objects > 0 && objects == all => Some(RecordKind::Object),
            (_, arrays) if arrays == all && is_table() => Some(RecordKind::Array),
            _ => None,
        }
    }
}

impl Rows {
    /// Adds a row with these counts of its items.
    fn add(&mut self, items: &MemberCounts<'_>) {
        self.all += 1;
        let (width, is_full) = (items.count(), self.widths.len() >= MAX_WIDTHS);
        match self.widths.get_mut(&width) {
            Some(rows) => *rows += 1,
            None if is_full => {}
            None => _ = self.widths.insert(width, 1),
        }
        self.with_text += u64::from(items.texts > 0);
    }
}

/// Returns the kind of most items of an array that are not null; `None` if there are none.
fn kind_of_most(items: &MemberCounts<'_>) -> Option<RecordKind> {
    let others = items.texts + items.numbers + items.booleans;
    let kinds = [(others, RecordKind::Value), (items.arrays, RecordKind::Array), (items.objects, RecordKind::Object)];
    kinds.into_iter().max_by_key(|(count, _)| *count).filter(|(count, _)| *count > 0).map(|(_, kind)| kind)
}

/// Returns the offset after the string that starts at `start`.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn text_of(key: &[u8]) -> Option<String> {
    serde_json::from_slice(key).ok()
}

/// Writes the path to an array as in the setting `records`. `None` if the setting cannot name it.
fn joined(keys: &[String]) -> Option<String> {
    let keys: Option<Vec<String>> = keys.iter().map(|key| quoted(key)).collect();
    keys.map(|keys| keys.join("."))
}

/// Writes the path to the members of the object at `keys`.
pub(super) fn path_to_members(keys: &[String]) -> Option<String> {
    joined(keys).map(|path| if path.is_empty() { "*".to_owned() } else { format!("{path}.*") })
}

/// Writes a key as in the setting `records`. `None` if it cannot name it.
fn quoted(key: &str) -> Option<String> {
    match key {
        key if key.contains('"') => None,
        key if needs_quotes(key) => Some(format!("\"{key}\"")),
        key => Some(key.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_array_with_most_of_a_document_holds_the_records() {
        for (text, path) in [
            (r#"{"exported":"2026-03-01","orders":[{"id":1,"total":2},{"id":2,"total":3}]}"#, Some("orders")),
            (
                r#"{"log":{"version":"1.2","entries":[{"a":"[]"},{"a":"}\""},{"a":1,"b":"one more"}]}}"#,
                Some("log.entries"),
            ),
            (r#"{"log.x":[{"a":1},{"a":1}],"b":1}"#, Some("\"log.x\"")),
            // An array inside of the records is no second candidate.
            (r#"{"a":[{"b":[{"c":1},{"c":2},{"c":3},{"c":4},{"c":5}]}]}"#, Some("a")),
            // The text is cut off.
            (r#"{"a":[{"b":1},{"b":"#, Some("a")),
            (r#"{"id":1,"name":"a long text, longer than the items","items":[{"a":1}]}"#, None),
            (r#"{"a":[1,2,3,4,5,6,7,8]}"#, None),
            (r#"{"a":[{"b":1},2,3,4,5,6]}"#, None),
            (r#"[{"a":[{"b":1},{"b":2}]}]"#, None),
            (r#"{"a":[{"b":1}]} {"a":[{"b":1}]}"#, None),
            ("", None),
        ] {
            let records = path.map(|path| (path.to_owned(), RecordKind::Object));
            assert_eq!(outline(text.as_bytes()).records(), records, "{text}");
        }
        let outline = outline(br#"{"a":{"x":1},"b":[{"c":1}]}"#);
        assert_eq!(outline.root_members, (1, 1));
        assert_eq!((outline.values, outline.keys), (1, vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn an_array_of_regular_arrays_with_texts_is_a_table() {
        for (text, is_table) in [
            (r#"{"names":["id","n"],"rows":[[1,"Ann"],[2,"Bo"],[3,null]]}"#, true),
            (r#"{"rows":[[1,"Ann"],[2,3],[3,null]]}"#, false),
            (r#"{"rows":[[1,"Ann"]]}"#, false),
            (r#"{"rows":[["Ann"],["Bo"]]}"#, false),
            (r#"{"rows":[["Ann",1],["Bo"]]}"#, false),
            (r#"{"rows":[["Ann",1],["Bo",2],3]}"#, false),
            (r#"{"rows":[["Title"],["a",1],["b",2],["c",1],["d",2],["e",1],["f",2],["g",1],["h",2],["i",1]]}"#, true),
            (r#"{"rows":[["Ann",1],null,["Bo",2]]}"#, true),
            (r#"{"coordinates":[[1,2],[3,4],[5,6]]}"#, false),
            (r#"{"rows":[["Ann",{"a":[1]}],["Bo",{"a":[]}],["Cy",["#, true),
        ] {
            let table = Some(("rows".to_owned(), RecordKind::Array));
            assert_eq!(outline(text.as_bytes()).records(), table.filter(|_| is_table), "{text}");
        }
        for (text, kind) in [
            ("[]", None),
            ("[1,\"a\",null,{}]", Some(RecordKind::Value)),
            ("[null,null,{}]", Some(RecordKind::Object)),
            ("[null]", None),
            ("[[1,2],[3]]", Some(RecordKind::Array)),
            ("[{},[]]", Some(RecordKind::Object)),
            ("{}", None),
        ] {
            assert_eq!(outline(text.as_bytes()).root_items, kind, "{text}");
        }
    }

    /// An object with `count` members, each with its key and the object that `member` returns.
    fn object_of(count: usize, member: impl Fn(usize) -> String) -> String {
        let members: Vec<String> = (0..count).map(|i| format!("\"u{i}\":{}", member(i))).collect();
        format!("{{{}}}", members.join(","))
    }

    #[test]
    fn many_similar_members_of_an_object_may_be_records() {
        let user = |i: usize| format!("{{\"name\":\"n{i}\",\"age\":{i}{}}}", if i == 3 { ",\"x\":1" } else { "" });
        let users = object_of(11, user);
        let lines = |i: usize| format!("{{\"name\":\"n{i}\",\"log\":{}}}", object_of(12, user));
        let unlike = |i: usize| format!("{{\"a{}\":1,\"b\":2,\"c{}\":3}}", i % 5, i % 3);
        for (text, expected) in [
            (users.clone(), Some(("", 11))),
            (object_of(10, user), None),
            (format!("{{\"next\":1,\"users\":{users}}}"), Some(("users", 11))),
            (format!("{{\"a\":{{\"b.c\":{users}}}}}"), Some(("a/b.c", 11))),
            // The text is cut off.
            (users[..users.len() - 4].to_owned(), Some(("", 11))),
            // Members of members are inside of the records.
            (object_of(20, lines), Some(("", 20))),
            (object_of(20, unlike), None),
            (object_of(20, |i| if i % 4 == 0 { "1".to_owned() } else { user(i) }), None),
            (object_of(20, |i| if i == 4 { "null".to_owned() } else { user(i) }), Some(("", 20))),
            (object_of(20, |_| "{}".to_owned()), None),
            // Most of the document is something else.
            (format!("{{\"users\":{users},\"text\":\"{}\"}}", "x".repeat(200)), None),
            (format!("{users}{users}"), None),
            (format!("[{users}]"), None),
            (object_of(300, |i| format!("\"{i}\"")), Some(("", 300))),
            (object_of(300, |i| if i % 20 == 0 { "null".to_owned() } else { format!("[{i}]") }), Some(("", 300))),
            (object_of(299, |i| i.to_string()), None),
            (object_of(300, |i| if i % 3 == 0 { "null".to_owned() } else { "\"x\"".to_owned() }), Some(("", 300))),
            (object_of(300, |i| if i % 2 == 0 { "1".to_owned() } else { "\"x\"".to_owned() }), None),
        ] {
            let outline = outline(text.as_bytes());
            let found = outline.members().map(|members| (members.path.join("/"), members.count));
            assert_eq!(found, expected.map(|(path, count)| (path.to_owned(), count)), "{text}");
        }
        let written = |keys: &[&str]| path_to_members(&keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        assert_eq!(written(&[]).as_deref(), Some("*"));
        assert_eq!(written(&["a", "b.c"]).as_deref(), Some("a.\"b.c\".*"));
        assert_eq!(written(&["\""]), None);
    }
}
