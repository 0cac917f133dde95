//! Chooses the type of a field from the statistics of its values.
//!
//! The type accepts every value that was seen, by the rules of `docs/types.md`. What the type does
//! not say is a note: values of different kinds, texts that are numbers, numbers that may be times.

use super::epoch::{epoch_unit, suggests_time};
use super::invisible;
use super::places::Places;
use super::profile::{Count, Lists, Node, Numbers, Objects, Strings};
use super::visitor::{DOUBLE_DIGITS, MAX_DEPTH};

/// Minimum number of keys of an object that may be a map.
const MIN_MAP_KEYS: usize = 50;
/// A map has keys that, on average, fewer than this share of its objects have.
const MAX_MAP_KEY_SHARE: f64 = 0.1;
/// Maximum number of values inside one field. A column of a table is written for each.
const MAX_LEAVES: usize = 300;
/// Number of digits with which every double can be written, so that more digits are lost.
const MAX_DOUBLE_DIGITS: usize = 17;
/// Maximum number of digits of a decimal.
const DECIMAL_DIGITS: usize = 38;

/// A type, and what the user should know about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) text: String,
    /// Whether the field needs `wrap = true`.
    pub(super) wrap: bool,
    pub(super) notes: Vec<Note>,
}

/// A remark about the values of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// Whether the values are of kinds that do not fit together.
    pub(super) is_conflict: bool,
    /// Path of the values below the field; empty for the field itself.
    pub(super) path: String,
    pub(super) text: String,
}

/// Chooses the types of the values below one field.
pub(super) struct Chooser<'a> {
    places: Places<'a>,
    wrap: bool,
    notes: Vec<Note>,
}

/// Chooses the type of the field `key`. `places` are those of the records.
pub(super) fn choose(key: &str, node: &Node, places: Places<'_>) -> Choice {
    let mut chooser = Chooser { places, wrap: false, notes: Vec::new() };
    let text = chooser.value("", key, node, 1);
    // A list that is a conflict may be inside a value that is kept as JSON text.
    let wrap = chooser.wrap && text.contains("list<");
    Choice { text, wrap, notes: chooser.notes }
}

impl Chooser<'_> {
    /// Returns the type of the values of `node`, which are at `path` below the field. `name` is the
    /// key of the values.
    fn value(&mut self, path: &str, name: &str, node: &Node, depth: usize) -> String {
        let (lists, objects) = (node.lists.all.count, node.objects.all.count);
        let scalars = node.booleans.count + node.numbers.all.count + node.strings.filled.count;
        let empty = node.strings.empty.count;
        if node.filled() == 0 {
            return if empty > 0 {
                self.note(path, "every text is empty");
                "string".into()
            } else {
                let is_item = path.ends_with("[]") && node.nulls == 0;
                let what = if is_item { "every list is empty" } else { "always null" };
                self.note(path, &format!("{what}, so the type is not known"));
                "json".into()
            };
        }
        if depth >= MAX_DEPTH && lists + objects > 0 {
            self.note(path, "nested too deeply for a type");
            return "json".into();
        }
        if lists > 0 {
            if objects + scalars + empty > 0 {
                return self.list_or_single(path, name, node, depth);
            }
            let nothing = Node::default();
            let items = node.lists.items.as_deref().unwrap_or(&nothing);
            if items.lists.all.count > 0 && items.lists.all.count < items.filled() {
                self.conflict(&format!("{path}[]"), items, "kept as JSON text");
                return "json".into();
            }
            return format!("list<{}>", self.value(&format!("{path}[]"), name, items, depth + 1));
        }
        match (objects, scalars) {
            (0, _) => self.scalar(path, name, node),
            (_, 0) if empty == 0 => self.object(path, &node.objects, depth),
            _ => {
                self.conflict(path, node, "kept as JSON text");
                "json".into()
            }
        }
    }

    /// Returns the type of values that are lists or single values: a list of one item for each single
    /// value, if a type accepts both the items and the single values.
    fn list_or_single(&mut self, path: &str, name: &str, node: &Node, depth: usize) -> String {
        let mut items = node.lists.items.as_deref().cloned().unwrap_or_default();
        let mut single = node.clone();
        single.lists = Lists::default();
        // A null of the field stays null, and is no item.
        single.nulls = 0;
        items.merge(single);
        let (noted, wrapped) = (self.notes.len(), self.wrap);
        self.conflict(path, node, "a single value becomes a list of one item");
        let item = self.value(&format!("{path}[]"), name, &items, depth + 1);
        if item == "json" {
            self.notes.truncate(noted);
            self.wrap = wrapped;
            self.conflict(path, node, "kept as JSON text");
            return item;
        }
        self.wrap = true;
        format!("list<{item}>")
    }

    /// Returns the type of values that are neither lists nor objects.
    fn scalar(&mut self, path: &str, name: &str, node: &Node) -> String {
        let Node { booleans, numbers, strings, .. } = node;
        let chosen = match (booleans.count, numbers.all.count, strings.filled.count) {
            (_, 0, 0) => "boolean".to_owned(),
            (0, _, 0) => self.number(path, name, numbers),
            (0, 0, _) => self.text(path, strings),
            (_, 0, _) if strings.accepted.boolean => {
                self.conflict(path, node, "the texts are `true` or `false`");
                "boolean".into()
            }
            (0, _, _) => match number_of_mixed(numbers, strings) {
                Some(number) => {
                    self.conflict(path, node, "the texts are numbers");
                    number.into()
                }
                None => {
                    self.conflict(path, node, "numbers are kept as text");
                    "string".into()
                }
            },
            _ => {
                self.conflict(path, node, "all values are kept as text");
                "string".into()
            }
        };
        if strings.empty.count > 0 && chosen != "string" {
            let verb = if strings.empty.count == 1 { "becomes" } else { "become" };
            self.note(path, &format!("{} {verb} null", counted(strings.empty.count, "empty text")));
        }
        chosen
    }

    fn number(&mut self, path: &str, name: &str, numbers: &Numbers) -> String {
        let (integer_digits, scale) = numbers.digits;
        if numbers.non_finite > 0 {
            self.note(path, &format!("{} NaN or infinite", counted_are(numbers.non_finite, "value")));
            return "double".into();
        }
        if !numbers.accepted.double {
            self.note(path, "has numbers beyond a double, which are kept as text");
            return "string".into();
        }
        if let Some(unit) = epoch_unit(numbers) {
            // A timestamp would drop the last digits of nanoseconds.
            if suggests_time(name) && unit != "ns" {
                return format!("timestamp({unit})");
            }
            self.note(path, &format!("may be a time: `timestamp({unit})` accepts every value"));
        }
        if numbers.fractions == 0 && numbers.beyond_long == 0 {
            return "long".into();
        }
        let loses_digits = numbers.significant > MAX_DOUBLE_DIGITS;
        if numbers.fractions > 0 && numbers.beyond_long == 0 && !numbers.has_long_integer && !loses_digits {
            return "double".into();
        }
        if !numbers.has_exponent && integer_digits + scale <= DECIMAL_DIGITS {
            let what = if loses_digits {
                "numbers with more digits than a double has"
            } else {
                "integers that neither a long nor a double can hold"
            };
            self.note(path, &format!("has {what}"));
            return format!("decimal({DECIMAL_DIGITS},{scale})");
        }
        self.note(path, "has numbers with more digits than a double or a decimal, which are kept as text");
        "string".into()
    }

    /// Returns the type of texts.
    fn text(&mut self, path: &str, strings: &Strings) -> String {
        let accepted = strings.accepted;
        if accepted.date {
            return "date".into();
        }
        if accepted.rfc3339 {
            return "timestamp".into();
        }
        if accepted.auto {
            self.note(path, "times without an offset, if there are any, are in UTC unless `zone` is set");
            return "timestamp(auto)".into();
        }
        let alternative = match accepted {
            accepted if accepted.long => Some(("an integer", "long")),
            accepted if accepted.double => Some(("a number", "double")),
            accepted if accepted.boolean => Some(("true or false", "boolean")),
            _ => None,
        };
        if let Some((what, field_type)) = alternative {
            self.note(path, &format!("every filled text is {what}: `{field_type}` accepts them too"));
        }
        "string".into()
    }

    fn object(&mut self, path: &str, objects: &Objects, depth: usize) -> String {
        let members = &objects.members;
        if members.is_empty() {
            self.note(path, "every object is empty");
            return "json".into();
        }
        // Keys are data if each of them occurs in few objects. They are also data if there are many of
        // them and all values are objects, which is rare in a schema.
        let is_object = |node: &Node| node.filled() == node.objects.all.count;
        let has_data_keys =
            mean_share(objects) < MAX_MAP_KEY_SHARE || members.iter().all(|member| is_object(&member.node));
        if members.len() > MIN_MAP_KEYS && has_data_keys {
            return self.map(path, objects, depth);
        }
        if objects.others.is_some() {
            return self.map(path, objects, depth);
        }
        for (index, member) in members.iter().enumerate() {
            let is_twin = |other: &super::profile::Member| other.key.eq_ignore_ascii_case(&member.key);
            if member.key.is_empty() || members[..index].iter().any(is_twin) {
                self.note(
                    path,
                    &format!("the key `{}` is empty, or differs from another one only in case", member.key),
                );
                return "json".into();
            }
        }
        let before = self.notes.len();
        let types: Vec<String> = members
            .iter()
            .map(|member| {
                let inner = if path.is_empty() { member.key.clone() } else { format!("{path}.{}", member.key) };
                if let Some(remark) = invisible::remark(&member.key, members.iter().map(|other| other.key.as_str())) {
                    self.note(&inner, &remark);
                }
                let field_type = self.value(&inner, &member.key, &member.node, depth + 1);
                format!("{}: {field_type}", member_name(&member.key))
            })
            .collect();
        let text = format!("struct<{}>", types.join(", "));
        if leaves(&text) > MAX_LEAVES {
            self.notes.truncate(before);
            if members.len() > MAX_LEAVES {
                return self.map(path, objects, depth);
            }
            self.note(path, &format!("has more than {MAX_LEAVES} different values, kept as JSON text"));
            return "json".into();
        }
        text
    }

    /// Returns the type of objects with many unlike keys.
    fn map(&mut self, path: &str, objects: &Objects, depth: usize) -> String {
        let mut values = Node::default();
        let nodes = objects.members.iter().map(|member| &member.node).chain(objects.others.as_deref());
        nodes.for_each(|node| values.merge(node.clone()));
        let more = if objects.others.is_some() { "more than " } else { "" };
        let keys = format!("{more}{} different keys", objects.members.len());
        let before = self.notes.len();
        let inner = if path.is_empty() { "*".to_owned() } else { format!("{path}.*") };
        let field_type = self.value(&inner, "", &values, depth + 1);
        if self.notes[before..].iter().any(|note| note.is_conflict) {
            self.notes.truncate(before);
            self.note(path, &format!("has {keys} with values of different kinds"));
            return "json".into();
        }
        self.note(path, &format!("has {keys}, so it is a map"));
        format!("map<string, {field_type}>")
    }

    fn note(&mut self, path: &str, text: &str) {
        self.notes.push(Note { is_conflict: false, path: path.to_owned(), text: text.to_owned() });
    }

    /// Notes that the values of a node are of several kinds: the counts, a place of the rarest kind,
    /// and what the type does about it.
    fn conflict(&mut self, path: &str, node: &Node, consequence: &str) {
        let kinds: [(&str, Count); 6] = [
            ("string", node.strings.filled),
            ("empty string", node.strings.empty),
            ("number", node.numbers.all),
            ("boolean", node.booleans),
            ("object", node.objects.all),
            ("list", node.lists.all),
        ];
        let mut kinds: Vec<_> = kinds.into_iter().filter(|(_, count)| count.count > 0).collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(count.count));
        let counts: Vec<String> = kinds.iter().map(|(kind, count)| counted(count.count, kind)).collect();
        let place = kinds.last().and_then(|(kind, count)| Some((kind, self.places.first(*count)?)));
        let place = place.map(|(kind, place)| {
            let article = if kind.starts_with(['e', 'o']) { "an" } else { "a" };
            format!("; {article} {kind} is in {place}")
        });
        let text = format!("{}{}; {consequence}", counts.join(", "), place.unwrap_or_default());
        self.notes.push(Note { is_conflict: true, path: path.to_owned(), text });
    }
}

/// Returns the number of values that a type has, at least 1.
pub(super) fn leaves(field_type: &str) -> usize {
    // Every member of a struct has a `:` before its type. A name may have one too, which does no harm.
    field_type.matches(": ").count().max(1)
}

/// Returns the type of numbers of which some are texts, if there is one that loses nothing.
fn number_of_mixed(numbers: &Numbers, strings: &Strings) -> Option<&'static str> {
    if numbers.non_finite > 0 || numbers.beyond_long > 0 {
        return None;
    }
    if numbers.fractions == 0 && strings.accepted.long {
        return Some("long");
    }
    let is_exact = !numbers.has_long_integer && strings.digits <= DOUBLE_DIGITS;
    (numbers.accepted.double && strings.accepted.double && is_exact).then_some("double")
}

/// Returns the mean share of objects that have a key.
fn mean_share(objects: &Objects) -> f64 {
    let seen: u64 = objects.members.iter().map(|member| member.node.seen()).sum();
    #[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
    let share = seen as f64 / (objects.members.len() as f64 * objects.all.count as f64);
    share
}

/// Writes the name of a struct's member.
fn member_name(key: &str) -> String {
    let is_plain = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain { key.to_owned() } else { format!("'{}'", doubled(key)) }
}

/// Doubles the quotes of a name.
fn doubled(name: &str) -> String {
    name.chars().flat_map(|c| std::iter::repeat_n(c, if c == '\'' { 2 } else { 1 })).collect()
}

/// Writes a number of things, such as `1 string` and `2 strings`.
pub(super) fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn counted_are(count: u64, what: &str) -> String {
    format!("{} {}", counted(count, what), if count == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use lakewright_common::config::resolved::{JsonFormat, RecordKind};

    use super::*;
    use crate::init::places::tests::numbered_objects;
    use crate::init::profile::Place;
    use crate::init::visitor::add_record;

    fn choice(values: &[&str]) -> Choice {
        named("v", values)
    }

    fn named(name: &str, values: &[&str]) -> Choice {
        let mut root = Node::default();
        for (object, value) in values.iter().enumerate() {
            add_record(
                &mut root,
                RecordKind::Object,
                &format!("{{\"{name}\":{value}}}"),
                Place { object, position: 9 },
            );
        }
        let objects = numbered_objects(values.len());
        choose(name, &root.objects.members[0].node, Places::new(&objects, &JsonFormat::Lines))
    }

    /// An object with `count` keys, each with the value that `value` returns for its number.
    fn wide(count: usize, value: impl Fn(usize) -> String) -> String {
        let members: Vec<String> = (0..count).map(|i| format!("\"k{i}\":{}", value(i))).collect();
        format!("{{{}}}", members.join(","))
    }

    #[test]
    fn objects_with_many_keys_become_maps_or_json() {
        let objects = wide(60, |i| format!("{{\"a\":{i}}}"));
        assert_eq!(choice(&[&objects]).text, "map<string, struct<a: long>>");
        // Many measurements are a struct, as their keys are in every object.
        assert!(choice(&[&wide(60, |i| i.to_string())]).text.starts_with("struct<k0: long"));
        assert_eq!(choice(&[&wide(301, |i| i.to_string())]).text, "map<string, long>");
        assert_eq!(choice(&[&wide(301, |i| if i % 2 == 0 { "1".into() } else { "{}".into() })]).text, "json");
        assert_eq!(choice(&[&wide(100, |_| "{\"a\":1,\"b\":2,\"c\":3,\"d\":[4]}".into()), "{\"x\":1}"]).text, "json");
        // The values of a map differ, so it is kept as text, and nothing wraps.
        let mixed = choice(&[&wide(60, |i| format!("{{\"a\":{}}}", if i % 2 == 0 { "1" } else { "[1]" }))]);
        assert_eq!((mixed.text.as_str(), mixed.wrap), ("json", false));
    }

    #[test]
    fn a_type_accepts_every_value() {
        for (values, expected) in [
            (&["1", "2", "null"][..], "long"),
            (&["1", "2.5"], "double"),
            (&["0.30000000000000004"], "double"),
            (&["0.000012345678901234567"], "double"),
            (&["0.123456789012345678"], "decimal(38,18)"),
            (&["12.500000000000000000"], "double"),
            (&["1.23456789012345678e5"], "string"),
            (&["1.0", "2.0"], "double"),
            (&["1", "\"\""], "long"),
            (&["1", "\"2\""], "long"),
            (&["1", "\"2.5\""], "double"),
            (&["1", "\"x\""], "string"),
            (&["1", "\"12345678901234567890.5\""], "string"),
            (&["9223372036854775808"], "decimal(38,0)"),
            (&["9223372036854775808", "1.25"], "decimal(38,2)"),
            (&["1e400"], "string"),
            (&["123456789012345678901234567890123456789"], "string"),
            (&["true", "false"], "boolean"),
            (&["true", "\"false\""], "boolean"),
            (&["true", "1"], "string"),
            (&["\"01\"", "\"2\""], "string"),
            (&["\"2018-11-21\""], "date"),
            (&["\"2018-11-21T00:00:00Z\"", "\"\""], "timestamp"),
            (&["\"2018-11-21\"", "\"2018-11-21T00:00:00Z\""], "timestamp(auto)"),
            (&["\"Wed, 21 Nov 2018 21:56:47 GMT\""], "timestamp(auto)"),
            (&["\"2018-11-21\"", "\"soon\""], "string"),
            (&["\"\"", "null"], "string"),
            (&["null"], "json"),
            (&["[1,2]", "[]"], "list<long>"),
            (&["[]"], "list<json>"),
            (&["[1,\"x\"]"], "list<string>"),
            (&["[[1],[2]]"], "list<list<long>>"),
            (&["{\"a\":1}", "{\"b\":\"x\"}"], "struct<a: long, b: string>"),
            (&["{\"$a\":1,\"it's\":{\"x\":[true]}}"], "struct<'$a': long, 'it''s': struct<x: list<boolean>>>"),
            (&["{}"], "json"),
            (&["{\"a\":1,\"A\":2}"], "json"),
            (&["{\"a\":1}", "\"x\""], "json"),
            (&["[{\"a\":1}]", "1"], "json"),
            (&["{\"a\":1}", "\"\""], "json"),
            (&["{\"\":1}"], "json"),
            (&["[[[[[[[[[[1]]]]]]]]]]"], "list<list<list<list<list<list<list<list<json>>>>>>>>"),
        ] {
            assert_eq!(choice(values).text, expected, "{values:?}");
        }
    }

    #[test]
    fn a_single_value_beside_lists_is_wrapped() {
        for (values, expected) in [
            (&["[1]", "2"][..], "list<long>"),
            (&["[\"a\"]", "\"\""], "list<string>"),
            (&["[{\"a\":1}]", "{\"a\":2,\"b\":3}"], "list<struct<a: long, b: long>>"),
        ] {
            let choice = choice(values);
            assert_eq!((choice.text.as_str(), choice.wrap), (expected, true), "{values:?}");
            assert!(choice.notes.iter().any(|note| note.is_conflict));
        }
    }

    #[test]
    fn a_conflict_names_the_rarest_kind() {
        let choice = choice(&["1", "\"x\"", "2", "true"]);
        let note = "2 numbers, 1 string, 1 boolean; a boolean is in 3.json, line 9; all values are kept as text";
        assert_eq!(choice.notes, [Note { is_conflict: true, path: String::new(), text: note.into() }]);
    }

    #[test]
    fn members_of_a_struct_that_look_equal_are_told_apart() {
        let choice = choice(&["{\"a\":{\"x\":1,\"x\u{200B}\":2}}"]);
        assert_eq!(choice.text, "struct<a: struct<x: long, 'x\u{200B}': long>>");
        assert!(choice.notes[0].text.contains("\"x\\u200B\""), "{:?}", choice.notes);
    }

    #[test]
    fn numbers_in_the_range_of_times_are_times_if_the_name_says_so() {
        for (name, values, expected) in [
            ("ts", &["1541721600796"][..], "timestamp(ms)"),
            ("createdAt", &["1541721600"], "timestamp(s)"),
            ("registration", &["1541721600796.0", "1541721600797.0"], "timestamp(ms)"),
            ("time_us", &["1541721600796123"], "timestamp(us)"),
            ("time", &["1541721600.5"], "timestamp(s)"),
            ("time", &["1541721600", "12"], "long"),
            ("views", &["1541721600"], "long"),
            ("time", &["1541721600796123999"], "long"),
            ("update", &["1541721600"], "long"),
        ] {
            assert_eq!(named(name, values).text, expected, "{name}");
        }
        assert!(named("views", &["1541721600"]).notes[0].text.contains("may be a time"));
    }

    #[test]
    fn many_unlike_keys_are_a_map() {
        let object = |number: usize, value: &str| format!("{{\"k{number}\":{value}}}");
        let values: Vec<String> = (0..60).map(|number| object(number, "1")).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        assert_eq!(choice(&values).text, "map<string, long>");
        let mixed: Vec<String> = (0..60).map(|number| object(number, if number == 0 { "{}" } else { "1" })).collect();
        let mixed: Vec<&str> = mixed.iter().map(String::as_str).collect();
        assert_eq!(choice(&mixed).text, "json");
    }
}
