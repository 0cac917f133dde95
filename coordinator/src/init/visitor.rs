//! Adds the values of a record to the statistics of their paths.
//!
//! A record is validated first, and then read once from its start to its end, with every number as
//! text. So a number keeps its digits, and a rejected record leaves no statistics.

use std::borrow::Cow;

use lakewright_common::config::resolved::RecordKind;
use lakewright_common::printable;
use lakewright_common::read::json::acceptance::Acceptance;
use lakewright_common::read::json::lenient;
use serde_json::value::RawValue;

use super::cursor::{Cursor, JsonString};
use super::profile::{Constant, Node, Place, Slot};

/// Key under which a record of [`RecordKind::Value`] is counted.
const VALUE: &str = "value";
/// Number of levels of a record with statistics. Deeper values are declared as `json`.
pub(super) const MAX_DEPTH: usize = 9;
/// Maximum number of characters of an example.
const EXAMPLE_LENGTH: usize = 40;
/// Maximum number of digits at which a double represents every integer exactly.
pub(super) const DOUBLE_DIGITS: usize = 15;

/// Outcome of adding a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Added,
    /// It was added, and has `NaN` or an infinity.
    AddedWithNaN,
    /// It is `null`, where an object or an array is expected.
    Null,
    /// It is no JSON, or a value of another kind.
    Rejected,
}

/// Position of a value: its record and its depth.
#[derive(Debug, Clone, Copy)]
struct Position {
    place: Place,
    /// Number of containers around the value.
    depth: usize,
    /// Whether the words of `NaN` were put into quotes.
    has_nan: bool,
}

/// Adds the record `text`, which is at `place` and should be of `kind`, to `root`. `root` always has
/// the statistics of objects: an array counts as an object whose keys are the positions of its
/// items, and any other value as an object with the key [`VALUE`].
pub(super) fn add_record(root: &mut Node, kind: RecordKind, text: &str, place: Place) -> Outcome {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let is_of_kind = |text: &str| match kind {
        RecordKind::Object => text.starts_with('{'),
        RecordKind::Array => text.starts_with('['),
        RecordKind::Value => true,
    };
    let around = Position { place, depth: 0, has_nan: false };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) if is_of_kind(text) => {
            add_of_kind(root, kind, &mut Cursor::new(text), around);
            Outcome::Added
        }
        Ok(_) if text == "null" => Outcome::Null,
        Ok(_) => Outcome::Rejected,
        Err(_) => {
            let Some(quoted) = lenient::quote_non_finite(text.as_bytes()) else { return Outcome::Rejected };
            let Ok(quoted) = String::from_utf8(quoted) else { return Outcome::Rejected };
            if !is_of_kind(&quoted) || serde_json::from_str::<&RawValue>(&quoted).is_err() {
                return Outcome::Rejected;
            }
            add_of_kind(root, kind, &mut Cursor::new(&quoted), Position { has_nan: true, ..around });
            Outcome::AddedWithNaN
        }
    }
}

fn add_of_kind(root: &mut Node, kind: RecordKind, cursor: &mut Cursor<'_>, around: Position) {
    match kind {
        RecordKind::Object => add(root, cursor, around),
        RecordKind::Array => add_items(root, cursor, around),
        RecordKind::Value => {
            root.objects.all.add(around.place);
            let slot = root.objects.slot(VALUE, 0, true, around.place);
            add(root.objects.node(slot), cursor, Position { depth: around.depth + 1, ..around });
        }
    }
}

/// Adds each item of the array at the cursor to the statistics of its position.
fn add_items(root: &mut Node, cursor: &mut Cursor<'_>, around: Position) {
    let objects = &mut root.objects;
    objects.all.add(around.place);
    let (mut position, mut is_inside) = (0, cursor.enter());
    while is_inside {
        let slot = objects.slot(&position.to_string(), position, true, around.place);
        add(objects.node(slot), cursor, Position { depth: around.depth + 1, ..around });
        is_inside = cursor.next_item();
        position += 1;
    }
}

/// Adds the value at the cursor, and moves past it.
fn add(node: &mut Node, cursor: &mut Cursor<'_>, around: Position) {
    let place = around.place;
    match cursor.peek() {
        Some(b'n') | None => {
            cursor.word();
            node.nulls += 1;
            node.distinct = None;
        }
        Some(b't' | b'f') => {
            let text = cursor.word();
            node.booleans.add(place);
            node.distinct = None;
            node.compare(text);
            keep_example(node, text, place);
        }
        Some(b'"') => add_string(node, cursor, around),
        Some(bracket @ (b'{' | b'[')) => {
            let start = cursor.offset();
            node.distinct = None;
            node.constant = Constant::Many;
            if bracket == b'{' {
                add_object(node, cursor, around);
            } else {
                add_list(node, cursor, around);
            }
            keep_example(node, cursor.since(start), place);
        }
        Some(_) => add_number(node, cursor.word(), place),
    }
}

fn add_object(node: &mut Node, cursor: &mut Cursor<'_>, around: Position) {
    let objects = &mut node.objects;
    objects.all.add(around.place);
    if around.depth >= MAX_DEPTH {
        return cursor.skip_container();
    }
    let inner = Position { depth: around.depth + 1, ..around };
    let (mut expected, mut is_inside) = (0, cursor.enter());
    while is_inside {
        let key = cursor.key();
        // A key with half of a surrogate pair has no text, so no field can have its value.
        if let Some(key) = unescaped(key) {
            let slot = objects.slot(&key, expected, around.depth == 0, around.place);
            add(objects.node(slot), cursor, inner);
            if let Slot::Member(index) = slot {
                expected = index + 1;
            }
        } else {
            add(&mut Node::default(), cursor, inner);
        }
        is_inside = cursor.next_item();
    }
}

fn add_list(node: &mut Node, cursor: &mut Cursor<'_>, around: Position) {
    node.lists.all.add(around.place);
    if around.depth >= MAX_DEPTH {
        return cursor.skip_container();
    }
    let items = node.lists.items.get_or_insert_default();
    let mut is_inside = cursor.enter();
    while is_inside {
        add(items, cursor, Position { depth: around.depth + 1, ..around });
        is_inside = cursor.next_item();
    }
}

fn add_number(node: &mut Node, text: &str, place: Place) {
    let numbers = &mut node.numbers;
    numbers.all.add(place);
    let (accepted, value) = Acceptance::of_number(text);
    numbers.accepted = numbers.accepted.and(accepted);
    let digits = text.trim_start_matches('-');
    let has_exponent = digits.contains(['e', 'E']);
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if has_exponent || !fraction.is_empty() {
        numbers.fractions += 1;
        let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
        let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0') } else { mantissa };
        let significant = mantissa.trim_start_matches(['0', '.']).bytes().filter(u8::is_ascii_digit).count();
        numbers.significant = numbers.significant.max(significant);
    } else {
        numbers.beyond_long += u64::from(!accepted.long);
        numbers.has_long_integer |= integer.len() > DOUBLE_DIGITS;
    }
    numbers.has_exponent |= has_exponent;
    numbers.digits = (numbers.digits.0.max(integer.len()), numbers.digits.1.max(fraction.len()));
    numbers.min = numbers.min.min(value);
    numbers.max = numbers.max.max(value);
    node.compare(text);
    keep_example(node, text, place);
}

fn add_string(node: &mut Node, cursor: &mut Cursor<'_>, around: Position) {
    let (start, place) = (cursor.offset(), around.place);
    let string = cursor.string();
    let text = cursor.since(start);
    if string.inside.is_empty() {
        node.strings.empty.add(place);
        return node.compare(text);
    }
    if around.has_nan && lenient::NON_FINITE.contains(&string.inside) {
        node.numbers.non_finite += 1;
        node.numbers.all.add(place);
        node.distinct = None;
        node.constant = Constant::Many;
        return;
    }
    let strings = &mut node.strings;
    strings.filled.add(place);
    // Once no type but `string` is left, only texts with half of a surrogate pair matter.
    let may_be_unpaired = string.has_escapes && string.inside.contains("\\u");
    if strings.accepted != Acceptance::NONE || may_be_unpaired {
        match unescaped(string) {
            Some(text) => {
                strings.digits = strings.digits.max(text.bytes().filter(u8::is_ascii_digit).count());
                strings.accepted = strings.accepted.and_text(&text);
            }
            None => {
                strings.accepted = Acceptance::NONE;
                strings.has_lone_surrogate = true;
            }
        }
    }
    node.compare(text);
    keep_example(node, text, place);
}

/// Returns the text of a string, or `None` if it has half of a surrogate pair.
fn unescaped(string: JsonString<'_>) -> Option<Cow<'_, str>> {
    if !string.has_escapes {
        return Some(Cow::Borrowed(string.inside));
    }
    serde_json::from_str(&format!("\"{}\"", string.inside)).ok().map(Cow::Owned)
}

/// Keeps the first value as an example, on one line and shortened.
fn keep_example(node: &mut Node, text: &str, place: Place) {
    if node.example.is_none() {
        node.example = Some((place, shortened(text)));
    }
}

/// Returns the text of a value on one line, and only its start if it is long.
pub(super) fn shortened(text: &str) -> String {
    // Documents are often indented. Eight times the length is enough to fill an example.
    let start: String = text.chars().take(8 * EXAMPLE_LENGTH).collect();
    let text =
        if text.starts_with(['{', '[']) { &start.split_whitespace().collect::<Vec<_>>().join(" ") } else { text };
    let mut example: String = text.chars().take(EXAMPLE_LENGTH).collect();
    if example.len() < text.len() {
        example.push('…');
    }
    printable::line(&example).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(kind: RecordKind, records: &[&str]) -> (Node, Vec<Outcome>) {
        let mut root = Node::default();
        let kinds = records
            .iter()
            .enumerate()
            .map(|(object, text)| add_record(&mut root, kind, text, Place { object, position: 1 }))
            .collect();
        (root, kinds)
    }

    #[test]
    fn values_are_counted_by_path_and_kind() {
        let (root, _) = profile(
            RecordKind::Object,
            &[r#"{"id":1,"a":{"b":[1,"x",null]}}"#, r#" {"a":{"b":[]},"id":"2"} "#, r#"{"id":18446744073709551616}"#],
        );
        let [id, a] = root.objects.members.as_slice() else { panic!("two members") };
        assert_eq!((root.objects.all.count, id.key.as_str(), a.key.as_str()), (3, "id", "a"));
        assert_eq!((id.node.numbers.all.count, id.node.numbers.beyond_long, id.node.strings.filled.count), (2, 1, 1));
        assert_eq!(id.node.strings.filled.first, Some(Place { object: 1, position: 1 }));
        assert!(id.node.strings.accepted.long && !id.node.numbers.accepted.long);
        assert_eq!(id.node.distinct.as_ref().map(|distinct| distinct.count()), Some(3));
        let b = &a.node.objects.members[0].node;
        assert_eq!((b.lists.all.count, b.lists.items.as_ref().unwrap().seen()), (2, 3));
        assert_eq!(b.example.as_ref().map(|(_, example)| example.as_str()), Some(r#"[1,"x",null]"#));
    }

    #[test]
    fn a_text_that_is_no_record_leaves_no_statistics() {
        let (root, kinds) =
            profile(RecordKind::Object, &[r#"{"a":1,"b":}"#, "null", "[1]", "{\"a\":NaN}", "{'a':1}", ""]);
        let expected = [
            Outcome::Rejected,
            Outcome::Null,
            Outcome::Rejected,
            Outcome::AddedWithNaN,
            Outcome::Rejected,
            Outcome::Rejected,
        ];
        assert_eq!(kinds, expected);
        assert_eq!((root.objects.members.len(), root.objects.members[0].node.numbers.non_finite), (1, 1));
    }

    #[test]
    fn deep_values_need_no_stack() {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(profile(RecordKind::Object, &[&text]).1, [Outcome::Added]);
    }

    #[test]
    fn items_are_counted_by_position_and_other_values_under_one_key() {
        let members = |kind, records: &[&str]| {
            let (root, outcomes) = profile(kind, records);
            let members = root.objects.members.iter();
            let seen: Vec<_> = members.map(|member| (member.key.clone(), member.node.seen())).collect();
            (root.objects.all.count, seen, outcomes)
        };
        let (count, seen, outcomes) = members(RecordKind::Array, &["[1,\"a\"]", "[]", "[2,null,{}]", "{}", "null"]);
        assert_eq!((count, seen), (3, vec![("0".to_owned(), 2), ("1".to_owned(), 2), ("2".to_owned(), 1)]));
        assert_eq!(outcomes[3..], [Outcome::Rejected, Outcome::Null]);
        let (count, seen, outcomes) = members(RecordKind::Value, &["1", "null", "[1]", "{", "1,2", "[NaN]"]);
        assert_eq!((count, seen), (4, vec![("value".to_owned(), 4)]));
        let (added, rejected) = (Outcome::Added, Outcome::Rejected);
        assert_eq!(outcomes, [added, added, added, rejected, rejected, Outcome::AddedWithNaN]);
    }
}
