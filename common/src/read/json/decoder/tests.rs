//! Compares the decoder with the table in `docs/types.md`, and with a slow decoder that is simple
//! enough to be right.

mod against_reference;

use arrow::array::{Array, AsArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;
use crate::config::resolved::FieldInput;

fn field(name: &str, field_type: &str) -> Field {
    let field_type = crate::config::field_type(field_type).unwrap_or_else(|| panic!("no type `{field_type}`"));
    Field::new(name, field_type)
}

fn required(field: Field) -> Field {
    Field { required: true, ..field }
}

fn reason(decoder: &mut Decoder, text: &str) -> Option<Reason> {
    decoder.decode(text.as_bytes()).err().map(|rejection| rejection.reason)
}

/// Returns the bytes that a cell describes: quoted text, `× N` to repeat it, `0xNN` for a byte.
fn cell_bytes(cell: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut quoted: &[u8] = b"";
    for (i, part) in cell.split('`').enumerate() {
        if i % 2 == 1 {
            quoted = part.as_bytes();
            bytes.extend(quoted);
            continue;
        }
        let mut words = part.split_whitespace();
        while let Some(word) = words.next() {
            match (word, word.strip_prefix("0x")) {
                ("×", _) => {
                    let times: usize = words.next().unwrap().parse().unwrap();
                    bytes.extend(quoted.repeat(times - 1));
                }
                (_, Some(hex)) => bytes.push(u8::from_str_radix(hex, 16).unwrap()),
                _ => panic!("`{word}` means nothing in `{cell}`"),
            }
        }
    }
    bytes
}

/// Returns the only value of a column, written as in the third column of the table.
fn shown_value(column: &dyn Array) -> String {
    if column.is_null(0) {
        return "null".into();
    }
    if let Some(text) = column.as_string_opt::<i32>() {
        return format!("`{}`", serde_json::to_string(text.value(0)).unwrap());
    }
    ArrayFormatter::try_new(column, &FormatOptions::default().with_null("null")).unwrap().value(0).to_string()
}

/// Returns the field `v` that the first column of the table declares: a type and settings, such as
/// `long`, `required = true`, each in backticks.
fn declared_field(cell: &str) -> Field {
    let mut parts = cell.split('`').skip(1).step_by(2);
    let field_type = parts.next().unwrap();
    // `allow_nan` is a setting of the source.
    let (of_source, of_field): (Vec<&str>, Vec<&str>) = parts.partition(|setting| setting.starts_with("allow_nan"));
    let of_field: String = of_field.iter().map(|setting| format!(", {setting}")).collect();
    let toml = format!(
        "[sources.s]\nurl = '/s'\n{}\nfields = {{ v = {{ type = {field_type:?}{of_field} }} }}",
        of_source.join("\n")
    );
    let mut source = crate::config::source(&toml).unwrap_or_else(|error| panic!("{cell}: {error}"));
    source.fields.remove(0)
}

#[test]
fn the_table_of_types_is_what_the_decoder_does() {
    let page = include_str!("../../../../../docs/types.md");
    let rows: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| declared type")).collect();
    assert!(rows.len() > 150, "{} rows: the table is written in another way than this test reads", rows.len());
    let mut wrong = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [declared, value, expected] = cells.as_slice() else { panic!("{row}: not three cells") };
        let v = if *declared == "—" { field("v", "long") } else { declared_field(declared) };
        let record = match (*declared, *value) {
            (_, "*missing*") => b"{}".to_vec(),
            ("—", _) => cell_bytes(value),
            _ => [br#"{"v":"#, cell_bytes(value).as_slice(), b"}"].concat(),
        };
        let mut decoder = Decoder::new(&[v]);
        let found = match decoder.decode(&record) {
            Err(rejection) => format!("rejected: {}", rejection.reason),
            Ok(()) => shown_value(decoder.finish().unwrap().column(0)),
        };
        let expected = match *expected {
            "*its own text*" => {
                format!("`{}`", serde_json::to_string(&String::from_utf8(cell_bytes(value)).unwrap()).unwrap())
            }
            expected => expected.to_owned(),
        };
        if found != expected {
            wrong.push(format!("{row}\n    found {}", found.chars().take(100).collect::<String>()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_rejection_names_the_field_and_what_it_holds() {
    let fields =
        [field("n", "long"), field("o", "struct<a: long>"), required(field("id", "string")), field("s", "list<date>")];
    let cases = [
        (r#"{"id":"1","n":39.5}"#, Some("n"), "`39.5` is not a long"),
        (r#"{"id":"1","o":{"a":"x"}}"#, Some("o.a"), "`\"x\"` is not a long"),
        (r#"{"id":"1","o":{"a":[]}}"#, Some("o.a"), "an array is not a long"),
        (r#"{"id":"1","s":["2018-11-21",3]}"#, Some("s"), "`3` is not a date"),
        (r#"{"id":"1","n":9223372036854775808}"#, Some("n"), "`9223372036854775808` is out of range for a long"),
        (r#"{"id":"1","o":{"a":1e400}}"#, Some("o"), "number out of range at line 1 column 24"),
        (r#"{"n":1}"#, Some("id"), "required field `id` is missing or null"),
        (r#"{"n":1"#, None, "EOF while parsing an object at line 1 column 6"),
        (r#"{"n":"#, None, "EOF while parsing a value at line 1 column 5"),
        (r#"[1]"#, None, "`[1]` is not an object"),
    ];
    for (text, name, detail) in cases {
        let rejection = Decoder::new(&fields).decode(text.as_bytes()).unwrap_err();
        assert_eq!((rejection.field.as_deref(), rejection.detail.as_str()), (name, detail), "{text}");
    }
}

#[test]
fn what_a_string_takes_does_not_depend_on_the_records_before_it() {
    let wild = [r#"{"s":1e400}"#, r#"{"s":"\ud800"}"#, r#"{"s":"\ud800","s":"x"}"#, r#"{"s":1e400,"s":2}"#];
    for text in wild {
        let mut warm = Decoder::new(&[field("s", "string")]);
        warm.decode(br#"{"s":1}"#).unwrap();
        assert_eq!(reason(&mut Decoder::new(&[field("s", "string")]), text), reason(&mut warm, text), "{text}");
    }
}

#[test]
fn several_string_columns_may_meet_numbers_that_no_double_holds() {
    let mut decoder = Decoder::new(&[field("a", "string"), field("b", "string"), field("c", "list<string>")]);
    decoder.decode(br#"{"a":1e400,"b":1e401,"c":[1e402,7]}"#).unwrap();
    let rows = decoder.finish().unwrap();
    assert_eq!(
        (shown_value(rows.column(0)), shown_value(rows.column(1))),
        ("`\"1e400\"`".into(), "`\"1e401\"`".into())
    );
    assert_eq!(shown_value(rows.column(2)), "[1e402, 7]");
}

#[test]
fn a_dotted_path_leads_to_its_value_and_the_last_object_under_a_key_wins() {
    let mut name = field("name", "string");
    name.input = FieldInput::Keys(vec!["user".into(), "name".into()]);
    let mut city = field("city", "string");
    city.input = FieldInput::Keys(vec!["user".into(), "address".into(), "city".into()]);
    let fields = [name, city, field("n", "long")];
    let cases = [
        (r#"{"user":{"name":"Lily","address":{"city":"Bath"}},"n":1}"#, "`\"Lily\"` `\"Bath\"` 1"),
        (r#"{"user":{"name":"Lily"},"user":{"address":{"city":"Bath"}}}"#, "null `\"Bath\"` null"),
        (r#"{"user":5,"user":{"name":"Lily"}}"#, "`\"Lily\"` null null"),
        (r#"{"user":{"address":5,"address":{"city":"Bath"}}}"#, "null `\"Bath\"` null"),
        (r#"{"user":{"name":[]},"user":null}"#, "null null null"),
        (r#"{}"#, "null null null"),
    ];
    for (text, expected) in cases {
        let mut decoder = Decoder::new(&fields);
        decoder.decode(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"));
        let rows = decoder.finish().unwrap();
        let found: Vec<String> = rows.columns().iter().map(|column| shown_value(column)).collect();
        assert_eq!(found.join(" "), expected, "{text}");
    }
    let rejection = Decoder::new(&fields).decode(br#"{"user":{"address":5}}"#).unwrap_err();
    assert_eq!((rejection.reason, rejection.field.as_deref()), (Reason::WrongType, Some("city")));
}

#[test]
fn undeclared_fields_are_counted_once_per_accepted_record_under_dotted_names() {
    let mut name = field("name", "string");
    name.input = FieldInput::Keys(vec!["user".into(), "name".into()]);
    let mut decoder = Decoder::new(&[name, field("n", "long"), field("items", "list<struct<a: long>>")]);
    decoder.decode(br#"{"x":1,"x":2,"user":{"age":3,"name":"Lily"},"items":[{"b":1},{"b":2}]}"#).unwrap();
    decoder.decode(br#"{"x":1,"n":"no","y":1}"#).unwrap_err();
    decoder.decode(br#"{"x":{"deep":1},"n":1}"#).unwrap();
    let counted: Vec<(String, u64)> = decoder.unknown_fields().into_iter().collect();
    assert_eq!(counted, [("items.b".into(), 1), ("user.age".into(), 1), ("x".into(), 2)]);
}

#[test]
fn names_of_undeclared_fields_are_bounded_in_number_and_length() {
    let mut decoder = Decoder::new(&[field("n", "long")]);
    for i in 0..1500 {
        decoder.decode(format!(r#"{{"f{i}":1,"g":2}}"#).as_bytes()).unwrap();
    }
    decoder.decode(format!(r#"{{"{}":1}}"#, "k".repeat(1000)).as_bytes()).unwrap();
    let counted = decoder.unknown_fields();
    assert_eq!(counted.len(), 1001);
    assert_eq!((counted["g"], counted["f0"], counted["…"]), (1500, 1, 1500 - 999 + 1));
}

#[test]
fn a_batch_leaves_the_decoder_empty_and_ready_for_the_next() {
    let mut decoder = Decoder::new(&[field("s", "string"), field("l", "list<long>")]);
    for round in 0..3 {
        assert_eq!((decoder.rows(), decoder.bytes()), (0, 0));
        decoder.decode(br#"{"s":"a","l":[1,2]}"#).unwrap();
        decoder.decode(br#"{"l":[3]}"#).unwrap();
        assert!(decoder.bytes() > 0);
        let rows = decoder.finish().unwrap();
        assert_eq!((rows.len(), rows.column(0).null_count()), (2, 1), "round {round}");
        assert_eq!(rows.data_type(), &arrow::datatypes::DataType::Struct(decoder.fields.clone()));
    }
}

#[test]
fn a_string_of_sixteen_mebibytes_is_taken_whole() {
    let mut decoder = Decoder::new(&[field("s", "string")]);
    decoder.decode(format!(r#"{{"s":"{}"}}"#, "x".repeat(16 << 20)).as_bytes()).unwrap();
    assert_eq!(decoder.finish().unwrap().column(0).as_string::<i32>().value(0).len(), 16 << 20);
}
