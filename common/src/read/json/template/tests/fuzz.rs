//! Fuzz test of any lines as records, decoded after records of known shapes, with and without
//! templates.

use lakewright_fuzz::Target;

use super::{compare, field};
use crate::config::resolved::{Field, FieldInput};

fn fields() -> Vec<Field> {
    let mut name = field("name", "string");
    name.input = FieldInput::Keys(vec!["user".into(), "name".into()]);
    let mut id = field("id", "long");
    id.required = true;
    vec![
        id,
        field("s", "string"),
        name,
        field("d", "double"),
        field("b", "boolean"),
        field("at", "timestamp(ms)"),
        field("day", "date"),
        field("time", "timestamp"),
        field("seconds", "timestamp(s)"),
        field("price", "decimal(10,2)"),
        field("j", "json"),
        field("l", "list<long>"),
        field("o", "struct<a: long, b: string>"),
    ]
}

const RECORDS: [&str; 5] = [
    r#"{"id":1,"s":"Mozilla\/5.0 (X11)","user":{"name":"é","age":7},"d":277.89016,"b":true,"at":1542837407796}"#,
    r#"{"id":"2","s":null,"user":null,"d":-1.5e3,"b":"","at":"1542837407796.0","more":"\ud83d\ude00"}"#,
    r#"{"day":"2018-11-21", "time":"2018-11-21T21:56:47.796Z", "seconds":1542837407.5, "price":12.50, "id":3.0}"#,
    r#"{"j":{"a":[1,2.50]},"l":[1,"2",null],"o":{"b":"x","a":1,"c":[]},"id":4,"x":[{}],"y":1e400}"#,
    r#"{"s":12345678901234567890,"id":123456789012345678,"d":0.12345678901234567}"#,
];

#[test]
fn any_bytes_are_decoded_the_same_with_and_without_templates() {
    let fields = fields();
    let mut seeds: Vec<Vec<u8>> = RECORDS.iter().map(|record| record.as_bytes().to_vec()).collect();
    seeds.push(RECORDS.join("\n").into_bytes());
    let words = &[
        "null",
        "true",
        "\"\"",
        "\\ud83d\\ude00",
        "\\ud800",
        "\\/",
        "9007199254740993",
        "9223372036854775808",
        "-0",
        "1e400",
        ".0",
        "\"id\":",
        ",\"s\":\"",
        "\"user\":{",
        "sixteen bytes...",
        "12345678",
    ];
    Target { name: "templates", words, seeds }.run(|input| {
        let mut records: Vec<&[u8]> = RECORDS.iter().map(|record| record.as_bytes()).collect();
        let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
        // Decode each line twice: if it is accepted, its shape is known the second time.
        records.extend(lines.iter().chain(&lines));
        let stored = compare(&fields, &records, 16);
        format!("{} lines {} stored", "x".repeat(lines.len().min(8)), "x".repeat(stored.min(16) as usize))
    });
}
