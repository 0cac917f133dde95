//! The outline of a document: how many values it has, and which array or object holds the records.
//!
//! Scans the text once and builds no tree. Text that is not JSON gives some outline; whether the
//! records can be read is found out later, by the reader.
//!
//! Example: `{"exported":"2026","log":{"entries":[{"id":1},{"id":2}]}}` is one value, and its array
//! `log.entries` holds more than half of its bytes.

use lakewright_common::config::records_path::needs_quotes;

use super::members::{MemberCounts, Members};

/// Outline of the text of an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// Number of values outside of any other value.
    pub(super) values: u64,
    /// Whether the first value is an object.
    pub(super) starts_with_object: bool,
    /// Keys of the first value, at most [`MAX_KEYS`].
    pub(super) keys: Vec<String>,
    /// Arrays of objects that are inside of objects only.
    arrays: Vec<Array>,
    /// Objects whose members may be records, from the innermost.
    members: Vec<Members>,
    /// Number of members of the first value that are objects, and of others.
    pub(super) root_members: (u64, u64),
    bytes: usize,
}

/// An array of objects.
#[derive(Debug, PartialEq, Eq)]
struct Array {
    /// Keys that lead to it.
    path: Vec<String>,
    bytes: usize,
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
                    around => outline.note_value(around, false),
                }
                at = end;
                continue;
            }
            byte @ (b'{' | b'[') => {
                let is_array = byte == b'[';
                outline.note_value(open.last_mut(), !is_array);
                open.push(Container {
                    is_array,
                    start: at,
                    key: b"",
                    expects_key: !is_array,
                    is_inside_objects: open.last().is_none_or(|around| around.is_inside_objects && !around.is_array),
                    members: MemberCounts::default(),
                });
            }
            b'}' | b']' => {
                if let Some(closed) = open.pop() {
                    outline.note_container(&mut open, &closed, at + 1);
                }
            }
            b',' => {
                if let Some(object) = open.last_mut() {
                    object.expects_key = !object.is_array;
                }
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'-' => {
                outline.note_value(open.last_mut(), false);
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
        outline.note_container(&mut open, &cut_off, text.len());
    }
    outline
}

impl Outline {
    /// Returns the path of the records, if the text is one object and exactly one array of objects
    /// holds at least half of its bytes.
    pub(super) fn records_path(&self) -> Option<String> {
        if !self.is_one_object() {
            return None;
        }
        let mut large = self.arrays.iter().filter(|array| array.bytes * 2 >= self.bytes);
        let (Some(records), None) = (large.next(), large.next()) else { return None };
        joined(&records.path)
    }

    /// Returns the outermost object whose members may be records, if the text is one object.
    pub(super) fn members(&self) -> Option<&Members> {
        self.members.last().filter(|_| self.is_one_object())
    }

    pub(super) fn is_one_object(&self) -> bool {
        self.values == 1 && self.starts_with_object
    }

    fn note_value(&mut self, around: Option<&mut Container<'_>>, is_object: bool) {
        match around {
            Some(container) if is_object => container.members.objects += 1,
            Some(container) => container.members.others += 1,
            None => {
                self.starts_with_object |= self.values == 0 && is_object;
                self.values += 1;
            }
        }
    }

    fn note_key(&mut self, depth: usize, key: &[u8]) {
        if depth == 1 && self.values == 1 && self.keys.len() < MAX_KEYS {
            self.keys.extend(text_of(key));
        }
    }

    /// Notes an array or an object that ends, and is inside of `around`.
    fn note_container<'a>(&mut self, around: &mut [Container<'a>], ended: &Container<'a>, end: usize) {
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
                None => self.root_members = (members.objects, members.others),
            }
        } else if members.objects > 0 && members.others == 0 && !around.is_empty() {
            self.arrays.extend(path(around).map(|path| Array { path, bytes }));
        }
    }
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

/// Writes a key as in the settings `records` and `from_document`. `None` if they cannot name it.
pub(super) fn quoted(key: &str) -> Option<String> {
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
            assert_eq!(outline(text.as_bytes()).records_path().as_deref(), path, "{text}");
        }
        let outline = outline(br#"{"a":{"x":1},"b":[{"c":1}]}"#);
        assert_eq!(outline.root_members, (1, 1));
        assert_eq!((outline.values, outline.keys), (1, vec!["a".to_owned(), "b".to_owned()]));
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
