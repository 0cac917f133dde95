//! Compares templates with the exact path: rows, rejections and counts must be equal for any
//! records.

mod fuzz;
/// Generates records that mostly have the same shape.
mod generate;

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use proptest::collection::vec;
use proptest::prelude::*;

use super::pace::Pace;
use crate::config::resolved::{Field, FieldInput};
use crate::read::json::decoder::Decoder;
use generate::{Choices, NUMBERS, OTHERS, STRINGS, TYPES, fields, records};

fn field(name: &str, field_type: &str) -> Field {
    let field_type = crate::config::field_type(field_type).unwrap_or_else(|| panic!("no type `{field_type}`"));
    Field::new(name, field_type)
}

/// Decodes records with and without templates, in batches of `batch` records. Fails if the results
/// differ. Returns the number of records that templates have stored.
fn compare<T: AsRef<[u8]>>(fields: &[Field], records: &[T], batch: usize) -> u64 {
    let (mut fast, mut exact) = (Decoder::new(fields), Decoder::exact(fields));
    for batch in records.chunks(batch) {
        for record in batch {
            let record = record.as_ref();
            let (found, expected) = (fast.decode(record), exact.decode(record));
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(record));
            assert_eq!((fast.rows(), fast.bytes()), (exact.rows(), exact.bytes()));
        }
        let (found, expected) = (fast.finish().unwrap(), exact.finish().unwrap());
        assert_eq!(found, expected);
        for (found, expected) in found.columns().iter().zip(expected.columns()) {
            if let Some(found) = found.as_primitive_opt::<Float64Type>() {
                let bits = |double: f64| double.to_bits();
                let expected = expected.as_primitive::<Float64Type>();
                assert!(found.values().iter().copied().map(bits).eq(expected.values().iter().copied().map(bits)));
            }
        }
        assert_eq!(fast.unknown_fields(), exact.unknown_fields());
        assert_eq!(fast.nulled_values(), exact.nulled_values());
    }
    assert_eq!(exact.templated_records(), 0);
    fast.templated_records()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_records_are_the_same_with_and_without_templates(choices in vec(any::<u8>(), 0..3000), batch in 1..40usize) {
        let mut choices = Choices::new(&choices);
        let fields = fields(&mut choices);
        compare(&fields, &records(&mut choices, &fields), batch);
    }

    #[test]
    fn any_double_is_the_same_with_and_without_templates(bits in vec(any::<u64>(), 1..20), places in 0..25usize) {
        let fields = [field("d", "double")];
        let mut records = vec![r#"{"d":0}"#.to_owned()];
        for double in bits.iter().map(|bits| f64::from_bits(*bits)).filter(|double| double.is_finite()) {
            let near = double.to_bits() as f64 / 1e12;
            for text in [format!("{double}"), format!("{double:e}"), format!("{near:.places$}"), format!("\"{near}\"")] {
                records.push(format!(r#"{{"d":{text}}}"#));
            }
        }
        assert_eq!(compare(&fields, &records, 7), records.len() as u64 - 1);
    }
}

/// Each list contains values of a declared type that a template stores. The record of the first
/// value is used to learn the shape.
#[test]
fn ordinary_values_of_every_type_are_stored_by_templates() {
    let table: &[(&str, &[&str])] = &[
        ("string", &[r#""a""#, "null", r#""""#, r#""a\/\"\n\u00e9\ud83d\ude00 and more than 16 bytes é""#, "true"]),
        ("long", &["1", "null", "0", "-39", "\"39\"", "\"\"", "39.0", "\"-39.0\"", "123456789012345678"]),
        ("timestamp(ms)", &["1", "1542837407796", "\"1542837407796\"", "1542837407796.0", "\"\"", "null", "-1"]),
        ("double", &["1", "null", "0", "-0.0", "277.89016", "\"277.89016\"", "\"\"", "0.12345678901234567", "1e-7"]),
        ("boolean", &["true", "false", "null", "\"\""]),
        ("date", &["\"2018-11-21\"", "\"1969-12-31\"", "\"\"", "null"]),
        ("timestamp", &["\"2018-11-21T21:56:47.796Z\"", "\"2018-11-21T22:56:47+01:00\"", "\"\"", "null"]),
        ("timestamp(s)", &["1542837407", "1542837407.796", "\"1542837407.796\"", "\"\"", "null"]),
        ("decimal(10,2)", &["12.5", "\"12.50\"", "1.25e1", "-0.01", "\"\"", "null"]),
        ("json", &["1", "1e400", "\"\\ud800\"", r#"{"a": [1, 2.50]}"#, "[]", "null", "true"]),
        ("list<long>", &["[1]", "[]", "null", r#"[1, "2", null]"#]),
        ("struct<a: long, b: string>", &["{}", r#"{"b":"x","a":"1"}"#, r#"{"c":[{}]}"#, "null"]),
    ];
    for (field_type, values) in table {
        let records: Vec<String> = values.iter().map(|value| format!(r#"{{ "v" : {value} , "w":1}}"#)).collect();
        let stored = compare(&[field("v", field_type), field("w", "long")], &records, 100);
        assert_eq!(stored, values.len() as u64 - 1, "{field_type}: {values:?}");
    }
}

/// Tries each edge value in a field of every type, and in an undeclared field.
#[test]
fn edge_values_are_the_same_with_and_without_templates() {
    let quoted = NUMBERS.iter().map(|number| format!("\"{number}\""));
    let values: Vec<String> =
        [&NUMBERS[..], &STRINGS, &OTHERS].concat().into_iter().map(str::to_owned).chain(quoted).collect();
    for field_type in TYPES {
        for value in &values {
            let known = r#"{"v":null,"w":"x","u":1}"#.to_owned();
            let records = [
                format!(r#"{{"v":{value},"w":"y","u":2}}"#),
                format!(r#"{{"v":null,"w":"y","u":{value}}}"#),
                format!(r#"{{"v":{value}}}"#),
            ];
            let records = records.map(|record| [known.clone(), record.clone(), known.clone(), record]).concat();
            compare(&[field("v", field_type), field("w", "string")], &records, 100);
        }
    }
}

/// Once a string column has received a number, it keeps numbers as written.
#[test]
fn numbers_in_a_string_column_are_stored_by_templates_after_the_first() {
    let records = [r#"{"s":"a"}"#, r#"{"s":1.50}"#, r#"{"s":1e400}"#, r#"{"s":-0}"#, r#"{"s":"b\n"}"#];
    assert_eq!(compare(&[field("s", "string")], &records, 100), 3);
}

#[test]
fn undeclared_fields_and_dotted_paths_are_part_of_a_shape() {
    let mut name = field("name", "string");
    name.input = FieldInput::Keys(vec!["user".into(), "name".into()]);
    let mut city = field("city", "string");
    city.input = FieldInput::Keys(vec!["user".into(), "address".into(), "city".into()]);
    let fields = [name, city, field("n", "long")];
    let long = "k".repeat(1000);
    let shapes = [
        r#"{"user":{"name":"Lily","age":1,"address":{"city":"Bath","zip":[1]}},"n":1,"x":{"deep":[1]}}"#.to_owned(),
        r#"{"user":null,"n":1,"x":1e400,"y":"\ud800"}"#.to_owned(),
        r#"{"user":{"address":null},"x":[]}"#.to_owned(),
        r#"{"user":{}}"#.to_owned(),
        "{}".to_owned(),
        format!(r#"{{"{long}":1,"{long}a":2,"n":3}}"#),
    ];
    let records: Vec<&String> = shapes.iter().cycle().take(60).collect();
    assert_eq!(compare(&fields, &records, 100), 54);
}

#[test]
fn undeclared_fields_beyond_the_counted_ones_are_counted_together() {
    let mut records: Vec<String> = (0..1500).map(|i| format!(r#"{{"f{i}":1,"n":2}}"#)).collect();
    records.extend((0..10_000).map(|i| format!(r#"{{"n":{i},"late":2,"later":3,"f1499":4}}"#)));
    assert!(compare(&[field("n", "long")], &records, 5000) > 5000);
}

#[test]
fn a_record_that_misses_a_required_value_is_rejected_after_any_number_of_good_ones() {
    let mut n = field("n", "long");
    n.required = true;
    let records =
        [r#"{"n":1,"s":"a"}"#, r#"{"n":2,"s":"b"}"#, r#"{"n":null,"s":"b"}"#, r#"{"n":"","s":"b"}"#, r#"{"s":"b"}"#];
    assert_eq!(compare(&[n, field("s", "string")], &records, 100), 1);
}

/// Returns a record with one optional field for each bit that is set in `bits`.
fn sparse(bits: usize) -> String {
    let members: Vec<String> = (0..8).filter(|i| bits >> i & 1 == 1).map(|i| format!(r#""f{i}":{bits}"#)).collect();
    format!("{{{}}}", members.join(","))
}

fn eight_longs() -> Vec<Field> {
    (0..8).map(|i| field(&format!("f{i}"), "long")).collect()
}

#[test]
fn rare_shapes_do_not_displace_common_ones() {
    // Six common shapes in turn. Every tenth record has one of 200 rare shapes.
    let records: Vec<String> =
        (0..20_000).map(|i| sparse(if i % 10 == 0 { 50 + i / 10 % 200 } else { 1 + i % 6 })).collect();
    let stored = compare(&eight_longs(), &records, 5000);
    assert!(stored > 17_500, "{stored}");
}

#[test]
fn shapes_that_are_no_longer_used_are_replaced() {
    let old = (0..20_000).map(|i| sparse(1 + i % 8));
    let new = (0..20_000).map(|i| sparse(100 + i % 8));
    let records: Vec<String> = old.chain(new).collect();
    let stored = compare(&eight_longs(), &records, 5000);
    assert!(stored > 35_000, "{stored}");
}

#[test]
fn records_without_a_common_shape_are_seldom_tried_until_they_have_one() {
    let mut pace = Pace::default();
    let mut tried = 0;
    for _ in 0..100_000 {
        if pace.is_running() {
            tried += 1;
            pace.count(false);
        }
    }
    assert!(tried < 3000, "{tried}");
    for _ in 0..100_000 {
        if pace.is_running() {
            tried += 1;
            pace.count(true);
        }
    }
    assert!(tried > 80_000, "{tried}");
}
