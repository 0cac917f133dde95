//! Property tests: for any record, the decoder and a slow decoder that reads a tree both accept it
//! with the same values, or both reject it.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::super::*;
use super::field;
use crate::config::resolved::{FieldInput, FieldType};

mod fuzz;

/// A JSON value to write as text. Numbers are kept as text. Members keep their order, and keys may
/// be repeated.
#[derive(Debug, Clone)]
enum Tree {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    fn write(&self, text: &mut String) {
        match self {
            Self::Null => text.push_str("null"),
            Self::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => text.push_str(number),
            Self::Text(string) => text.push_str(&json!(string).to_string()),
            Self::Array(items) => {
                text.push('[');
                for (i, item) in items.iter().enumerate() {
                    text.push_str(if i == 0 { "" } else { ", " });
                    item.write(text);
                }
                text.push(']');
            }
            Self::Object(members) => {
                text.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    text.push_str(if i == 0 { "" } else { "," });
                    text.push_str(&json!(key).to_string());
                    text.push(':');
                    value.write(text);
                }
                text.push('}');
            }
        }
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    /// Returns the last member with a key, or null if there is none.
    fn member(&self, key: &str) -> Result<&Self, ()> {
        match self {
            Self::Object(members) => Ok(members.iter().rev().find(|(k, _)| k == key).map_or(&Self::Null, |(_, v)| v)),
            Self::Null => Ok(&Self::Null),
            _ => Err(()),
        }
    }
}

fn fields() -> Vec<Field> {
    let mut path = field("name", "string");
    path.input = FieldInput::Keys(vec!["user".into(), "name".into()]);
    let mut deep_path = field("age", "long");
    deep_path.input = FieldInput::Keys(vec!["user".into(), "x".into(), "age".into()]);
    vec![
        field("s", "string"),
        path,
        field("n", "long"),
        field("d", "double"),
        field("b", "boolean"),
        field("l", "list<long>"),
        field("ls", "list<string>"),
        deep_path,
        field("j", "json"),
        field("o", "struct<n: long, s: string, l: list<struct<n: long, s: string>>>"),
    ]
}

/// Returns the value of a declared field of a record, by a literal implementation of the rules.
fn expected(field_type: &FieldType, tree: &Tree) -> Result<Value, ()> {
    match (field_type, tree) {
        (_, Tree::Null) => Ok(Value::Null),
        (FieldType::Json, tree) => Ok(json!(tree.to_text())),
        (FieldType::String, Tree::Text(text) | Tree::Number(text)) => Ok(json!(text)),
        (FieldType::String | FieldType::Boolean, Tree::Bool(value)) => {
            Ok(if *field_type == FieldType::String { json!(value.to_string()) } else { json!(value) })
        }
        (FieldType::Long | FieldType::Double | FieldType::Boolean, Tree::Text(text)) if text.is_empty() => {
            Ok(Value::Null)
        }
        (FieldType::Boolean, Tree::Text(text)) => match text.to_lowercase().as_str() {
            "true" => Ok(json!(true)),
            "false" => Ok(json!(false)),
            _ => Err(()),
        },
        (FieldType::Long | FieldType::Double, Tree::Text(text) | Tree::Number(text)) => {
            let number: serde_json::Number = serde_json::from_str(text).map_err(|_| ())?;
            if text.trim() != text {
                return Err(());
            }
            let double = number.as_f64().ok_or(())?;
            match (field_type, number.as_i64()) {
                (FieldType::Double, _) => Ok(json!(double)),
                (_, Some(long)) => Ok(json!(long)),
                _ if double.fract() != 0.0 || double.abs() >= 2f64.powi(53) => Err(()),
                _ => Ok(json!(format!("{double:.0}").parse::<i64>().unwrap())),
            }
        }
        (FieldType::List(item), Tree::Array(items)) => items.iter().map(|tree| expected(item, tree)).collect(),
        (FieldType::Struct(members), Tree::Object(_)) => {
            let mut object = Map::new();
            for member in members {
                object.insert(member.name.clone(), expected(&member.field_type, tree.member(&member.name)?)?);
            }
            Ok(Value::Object(object))
        }
        _ => Err(()),
    }
}

fn expected_row(fields: &[Field], record: &Tree) -> Result<Value, ()> {
    let mut row = Map::new();
    for field in fields {
        let value = field.keys().iter().try_fold(record, |tree, key| tree.member(key))?;
        row.insert(field.name.clone(), expected(&field.field_type, value)?);
    }
    Ok(Value::Object(row))
}

/// Returns a value of a column as JSON.
fn value(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            (0..items.len()).map(|i| value(&items, i)).collect()
        }
        DataType::Struct(members) => {
            let columns = column.as_struct().columns();
            members.iter().zip(columns).map(|(member, column)| (member.name().clone(), value(column, row))).collect()
        }
        other => panic!("no field of these tests is of type {other}"),
    }
}

fn rows(decoder: &mut Decoder) -> Vec<Value> {
    let rows = decoder.finish().unwrap();
    (0..rows.len()).map(|row| value(&rows, row)).collect()
}

fn number() -> impl Strategy<Value = Tree> {
    let edges = [
        "0",
        "-0",
        "39",
        "39.0",
        "39.5",
        "1e3",
        "1.50",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "9007199254740991.0",
        "9007199254740993.0",
        "123456789012345678901234567890",
        "1e-400",
        "5e-324",
        "-1540919166796.0",
    ];
    prop_oneof![
        select(edges.to_vec()).prop_map(|edge| Tree::Number(edge.to_owned())),
        any::<i64>().prop_map(|long| Tree::Number(long.to_string())),
        any::<f64>()
            .prop_filter("JSON has no NaN", |double| double.is_finite())
            .prop_map(|double| Tree::Number(json!(double).to_string())),
    ]
}

fn text() -> impl Strategy<Value = Tree> {
    let edges = [
        "",
        "39",
        "39.0",
        "39.5",
        " 39",
        "true",
        "False",
        "x\"y\\",
        "é😀",
        "\0",
        "007",
        "9223372036854775808",
        "a/b\n",
    ];
    prop_oneof![
        select(edges.to_vec()).prop_map(|edge| Tree::Text(edge.to_owned())),
        any::<String>().prop_map(Tree::Text),
    ]
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![2 => Just(Tree::Null), 1 => any::<bool>().prop_map(Tree::Bool), 3 => number(), 3 => text()];
    leaf.prop_recursive(4, 24, 4, |inner| prop_oneof![vec(inner.clone(), 0..4).prop_map(Tree::Array), object(inner)])
}

fn object(member: impl Strategy<Value = Tree>) -> impl Strategy<Value = Tree> {
    let key = select(&["s", "n", "d", "b", "l", "ls", "j", "o", "user", "name", "x", "age", "", "é"][..]);
    vec((key.prop_map(str::to_owned), member), 0..7).prop_map(Tree::Object)
}

/// Creates records with fields that mostly have their declared types.
fn fitting() -> impl Strategy<Value = Tree> {
    let long = || prop_oneof![4 => any::<i64>().prop_map(|long| Tree::Number(long.to_string())), 1 => Just(Tree::Null)];
    let short = || prop_oneof![3 => any::<String>().prop_map(Tree::Text), 1 => number(), 1 => Just(Tree::Null)];
    let item = || (long(), short()).prop_map(|(n, s)| Tree::Object(vec![("n".into(), n), ("s".into(), s)]));
    let nested = (long(), short(), vec(item(), 0..3)).prop_map(|(n, s, items)| {
        Tree::Object(vec![("l".into(), Tree::Array(items)), ("n".into(), n), ("s".into(), s)])
    });
    let user = (short(), long()).prop_map(|(name, age)| {
        Tree::Object(vec![("name".into(), name), ("x".into(), Tree::Object(vec![("age".into(), age)]))])
    });
    let members = prop_oneof![
        3 => short().prop_map(|value| ("s".to_owned(), value)),
        3 => long().prop_map(|value| ("n".to_owned(), value)),
        3 => number().prop_map(|value| ("d".to_owned(), value)),
        2 => any::<bool>().prop_map(|value| ("b".to_owned(), Tree::Bool(value))),
        2 => vec(long(), 0..4).prop_map(|items| ("l".to_owned(), Tree::Array(items))),
        2 => vec(short(), 0..4).prop_map(|items| ("ls".to_owned(), Tree::Array(items))),
        2 => nested.prop_map(|value| ("o".to_owned(), value)),
        2 => user.prop_map(|value| ("user".to_owned(), value)),
        2 => tree().prop_map(|value| ("j".to_owned(), value)),
        1 => tree().prop_map(|value| ("w".to_owned(), value)),
        1 => (select(&["s", "n", "l", "o", "user"][..]), tree()).prop_map(|(key, value)| (key.to_owned(), value)),
    ];
    vec(members, 0..8).prop_map(Tree::Object)
}

fn records() -> impl Strategy<Value = Vec<Tree>> {
    vec(prop_oneof![2 => fitting(), 1 => object(tree())], 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_records_become_what_the_rules_say_whatever_stands_between_them(records in records()) {
        let fields = fields();
        let mut decoder = Decoder::new(&fields);
        let mut accepted = Vec::new();
        for record in &records {
            let text = record.to_text();
            let expected = expected_row(&fields, record);
            let found = decoder.decode(text.as_bytes());
            prop_assert_eq!(found.is_ok(), expected.is_ok(), "{}: {:?}", text, found);
            accepted.extend(expected);
            prop_assert_eq!(decoder.rows(), accepted.len());
        }
        prop_assert_eq!(rows(&mut decoder), accepted);
    }

    #[test]
    fn damaged_records_leave_nothing_behind_and_no_damaged_record_is_taken(
        records in records(),
        damage in vec((any::<prop::sample::Index>(), select(&b"\"\\{}[],:.-0e9u\0\n\xff d"[..]), 0..4u8), 1..12),
    ) {
        let fields = fields();
        let mut mixed = Decoder::new(&fields);
        let mut alone = Decoder::new(&fields);
        for (i, record) in records.iter().enumerate() {
            let mut text = record.to_text().into_bytes();
            let (at, byte, how) = &damage[i % damage.len()];
            let at = at.index(text.len());
            match how {
                0 => text.truncate(at),
                1 => text[at] = *byte,
                2 => text.insert(at, *byte),
                _ => drop(text.remove(at)),
            }
            let fresh = Decoder::new(&fields).decode(&text);
            let found = mixed.decode(&text);
            // The detail may name another position in the text, because some strings are read
            // twice.
            let why = |outcome: &Result<(), Rejection>| outcome.clone().map_err(|e| (e.reason, e.field));
            prop_assert_eq!(why(&found), why(&fresh), "{:?}", String::from_utf8_lossy(&text));
            if found.is_ok() {
                prop_assert!(serde_json::from_slice::<IgnoredAny>(&text).is_ok(), "{:?}", text);
                alone.decode(&text).unwrap();
            }
        }
        prop_assert_eq!(mixed.unknown_fields(), alone.unknown_fields());
        prop_assert_eq!(mixed.finish().unwrap(), alone.finish().unwrap());
    }
}
