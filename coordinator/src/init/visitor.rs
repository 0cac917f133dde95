//! Adds the values of a record to the statistics of their paths.
//!
//! Each level of a record is parsed on its own, with the values below it as text. So a number keeps
//! its digits, and the depth of a record does not matter.

use std::fmt;

use lakewright_common::printable;
use lakewright_common::read::json::acceptance::Acceptance;
use lakewright_common::read::json::lenient;
use serde::Deserializer as _;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::profile::{Node, Objects, Slot};

/// Number of levels of a record with statistics. Deeper values are declared as `json`.
pub(super) const MAX_DEPTH: usize = 9;
/// Maximum number of characters of an example.
const EXAMPLE_LENGTH: usize = 40;
/// Longest integer whose every value a double represents exactly.
pub(super) const DOUBLE_DIGITS: usize = 15;

/// Kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    Object,
    /// An object with `NaN` or an infinity.
    ObjectWithNaN,
    Null,
    /// A value that is not an object, or no JSON.
    Rejected,
}

/// Place of a record.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Index of the object.
    object: usize,
    /// Number of containers around the value.
    depth: usize,
    /// Whether the words of `NaN` were put into quotes.
    has_nan: bool,
}

/// Adds the record `text`, which is in the object with the index `object`, to `root`.
pub(super) fn add_record(root: &mut Node, text: &str, object: usize) -> Record {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    // The whole record is validated first, because a rejected record must not leave statistics.
    let place = Place { object, depth: 0, has_nan: false };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) if text.starts_with('{') => {
            add(root, text, place);
            Record::Object
        }
        Ok(_) if text == "null" => Record::Null,
        Ok(_) => Record::Rejected,
        Err(_) => {
            let Some(quoted) = lenient::quote_non_finite(text.as_bytes()) else { return Record::Rejected };
            let Ok(quoted) = String::from_utf8(quoted) else { return Record::Rejected };
            if !text.starts_with('{') || serde_json::from_str::<&RawValue>(&quoted).is_err() {
                return Record::Rejected;
            }
            add(root, &quoted, Place { has_nan: true, ..place });
            Record::ObjectWithNaN
        }
    }
}

/// Adds the value that is written as `text`, which is JSON.
fn add(node: &mut Node, text: &str, place: Place) {
    let Place { object, depth, .. } = place;
    match text.as_bytes().first() {
        Some(b'n') | None => {
            node.nulls += 1;
            node.distinct = None;
        }
        Some(b't' | b'f') => {
            node.booleans.add(object);
            node.distinct = None;
            keep_example(node, text);
        }
        Some(b'"') => add_string(node, text, place),
        Some(b'{') => {
            node.objects.all.add(object);
            node.distinct = None;
            keep_example(node, text);
            if depth < MAX_DEPTH {
                let members = Members { objects: &mut node.objects, place };
                // The text was validated. Only a key with half of a surrogate pair can fail.
                let _ = serde_json::Deserializer::from_str(text).deserialize_map(members);
            }
        }
        Some(b'[') => {
            node.lists.all.add(object);
            node.distinct = None;
            keep_example(node, text);
            if depth < MAX_DEPTH {
                let items = Items { items: node.lists.items.get_or_insert_default(), place };
                let _ = serde_json::Deserializer::from_str(text).deserialize_seq(items);
            }
        }
        Some(_) => add_number(node, text, object),
    }
}

fn add_number(node: &mut Node, text: &str, object: usize) {
    let numbers = &mut node.numbers;
    numbers.all.add(object);
    let accepted = Acceptance::of_number(text);
    numbers.accepted = numbers.accepted.and(accepted);
    let digits = text.trim_start_matches('-');
    let has_exponent = digits.contains(['e', 'E']);
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if has_exponent || digits.contains('.') {
        numbers.fractions += 1;
    } else {
        numbers.beyond_long += u64::from(!accepted.long);
        numbers.has_long_integer |= integer.len() > DOUBLE_DIGITS;
    }
    numbers.has_exponent |= has_exponent;
    numbers.digits = (numbers.digits.0.max(integer.len()), numbers.digits.1.max(fraction.len()));
    if let Ok(value) = text.parse::<f64>() {
        numbers.min = numbers.min.min(value);
        numbers.max = numbers.max.max(value);
    }
    node.compare(text);
    keep_example(node, text);
}

fn add_string(node: &mut Node, text: &str, place: Place) {
    let inside = text.trim_matches('"');
    if text == "\"\"" {
        node.strings.empty.add(place.object);
        return node.compare(text);
    }
    if place.has_nan && lenient::NON_FINITE.contains(&inside) {
        node.numbers.non_finite += 1;
        node.numbers.all.add(place.object);
        node.distinct = None;
        return;
    }
    let strings = &mut node.strings;
    strings.filled.add(place.object);
    strings.digits = strings.digits.max(inside.bytes().filter(u8::is_ascii_digit).count());
    let unescaped = if text.contains('\\') { serde_json::from_str::<String>(text).map(Some) } else { Ok(None) };
    match unescaped {
        // Once no type but `string` is left, further texts need no parsing.
        Ok(_) if strings.accepted == Acceptance::NONE => {}
        Ok(unescaped) => {
            let text = unescaped.as_deref().unwrap_or(inside);
            strings.accepted = strings.accepted.and(Acceptance::of_text(text));
        }
        Err(_) => {
            strings.accepted = Acceptance::NONE;
            strings.has_lone_surrogate = true;
        }
    }
    node.compare(text);
    keep_example(node, text);
}

/// Keeps the first value as an example, on one line and shortened.
fn keep_example(node: &mut Node, text: &str) {
    if node.example.is_none() {
        // Documents are often indented. Eight times the length is enough to fill an example.
        let start: String = text.chars().take(8 * EXAMPLE_LENGTH).collect();
        let text =
            if text.starts_with(['{', '[']) { &start.split_whitespace().collect::<Vec<_>>().join(" ") } else { text };
        let mut example: String = text.chars().take(EXAMPLE_LENGTH).collect();
        if example.len() < text.len() {
            example.push('…');
        }
        node.example = Some(printable::line(&example).into_owned());
    }
}

/// Receives the members of an object.
struct Members<'n> {
    objects: &'n mut Objects,
    place: Place,
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let place = Place { depth: self.place.depth + 1, ..self.place };
        let mut expected = 0;
        while let Some(slot) =
            map.next_key_seed(Key { objects: self.objects, expected, is_root: self.place.depth == 0 })?
        {
            let value: &RawValue = map.next_value()?;
            add(self.objects.node(slot), value.get(), place);
            if let Slot::Member(index) = slot {
                expected = index + 1;
            }
        }
        Ok(())
    }
}

/// Finds the place of a key.
struct Key<'n> {
    objects: &'n mut Objects,
    expected: usize,
    is_root: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Slot;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Slot, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Slot;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Slot, E> {
        Ok(self.objects.slot(key, self.expected, self.is_root))
    }
}

/// Receives the items of an array.
struct Items<'n> {
    items: &'n mut Node,
    place: Place,
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let place = Place { depth: self.place.depth + 1, ..self.place };
        while let Some(item) = items.next_element::<&RawValue>()? {
            add(self.items, item.get(), place);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(records: &[&str]) -> (Node, Vec<Record>) {
        let mut root = Node::default();
        let kinds = records.iter().enumerate().map(|(object, text)| add_record(&mut root, text, object)).collect();
        (root, kinds)
    }

    #[test]
    fn values_are_counted_by_path_and_kind() {
        let (root, _) = profile(&[
            r#"{"id":1,"a":{"b":[1,"x",null]}}"#,
            r#" {"a":{"b":[]},"id":"2"} "#,
            r#"{"id":18446744073709551616}"#,
        ]);
        let [id, a] = root.objects.members.as_slice() else { panic!("two members") };
        assert_eq!((root.objects.all.count, id.key.as_str(), a.key.as_str()), (3, "id", "a"));
        assert_eq!((id.node.numbers.all.count, id.node.numbers.beyond_long, id.node.strings.filled.count), (2, 1, 1));
        assert_eq!(id.node.strings.filled.first, Some(1));
        assert!(id.node.strings.accepted.long && !id.node.numbers.accepted.long);
        assert_eq!(id.node.distinct.as_ref().map(|distinct| distinct.count()), Some(3));
        let b = &a.node.objects.members[0].node;
        assert_eq!((b.lists.all.count, b.lists.items.as_ref().unwrap().seen()), (2, 3));
        assert_eq!(b.example.as_deref(), Some(r#"[1,"x",null]"#));
    }

    #[test]
    fn a_text_that_is_no_record_leaves_no_statistics() {
        let (root, kinds) = profile(&[r#"{"a":1,"b":}"#, "null", "[1]", "{\"a\":NaN}", "{'a':1}", ""]);
        let expected = [
            Record::Rejected,
            Record::Null,
            Record::Rejected,
            Record::ObjectWithNaN,
            Record::Rejected,
            Record::Rejected,
        ];
        assert_eq!(kinds, expected);
        assert_eq!((root.objects.members.len(), root.objects.members[0].node.numbers.non_finite), (1, 1));
    }

    #[test]
    fn deep_values_need_no_stack() {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(profile(&[&text]).1, [Record::Object]);
    }
}
