//! Generates records from a series of choices: a schema, some shapes, and values that mostly fit.

use super::field;
use crate::config::resolved::{Field, FieldInput, OnInvalid, Separators, ValueRules};

pub(super) const TYPES: [&str; 20] = [
    "string",
    "long",
    "double",
    "timestamp(ms)",
    "boolean",
    "date",
    "timestamp",
    "timestamp(s)",
    "decimal(10,2)",
    "json",
    "list<long>",
    "list<string>",
    "struct<a: long, b: string>",
    "list<struct<a: double>>",
    "map<string, long>",
    "timestamp(auto)",
    "binary(hex)",
    "timestamp(us)",
    "timestamp(ns)",
    "time",
];

pub(super) const NUMBERS: [&str; 36] = [
    "0",
    "-0",
    "-0.0",
    "007",
    "-01",
    "39",
    "39.0",
    "39.00",
    "-39.5",
    "1.",
    ".5",
    "+1",
    "1e3",
    "1E+3",
    "1e",
    "1.50",
    "1e400",
    "-1e400",
    "1e-400",
    "5e-324",
    "9007199254740991.0",
    "9007199254740992.0",
    "9007199254740993.0",
    "9007199254740993",
    "-9007199254740993",
    "12345678",
    "123456789",
    "123456789012345678",
    "1234567890123456789",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "123456789012345678901234567890",
    "0.1234567890123456789",
    "1542837407796",
    "1542837407.796123",
];

pub(super) const STRINGS: [&str; 33] = [
    r#""""#,
    r#""a""#,
    r#""fifteen bytes..""#,
    r#""sixteen bytes...""#,
    r#""seventeen bytes..""#,
    r#""a string that is longer than two blocks of sixteen bytes""#,
    r#""Mozilla\/5.0 (X11) \"quoted\" \\ \b\f\n\r\t""#,
    r#""\u00e9\u20AC\ud83d\ude00""#,
    r#""\ud800""#,
    r#""\ude00\ud83d""#,
    r#""\ud83dx""#,
    r#""\ud83d\n""#,
    r#""\ud83d\u0041""#,
    r#""\u00g0""#,
    r#""\x""#,
    r#""é😀 not ascii, and long enough for a block""#,
    "\"a\u{0}b\"",
    "\"a\nb\"",
    "\"a\tb\"",
    "\"a\u{7f}b\"",
    r#""39""#,
    r#""39.0""#,
    r#""-0""#,
    r#"" 39""#,
    r#""true""#,
    r#""2018-11-21""#,
    r#""2018-02-30""#,
    r#""2018-11-21T21:56:47.796Z""#,
    r#""9999-12-31T23:59:59-12:00""#,
    r#""\u0032018-11-21""#,
    r#""1,234,567.5""#,
    r#""1.234""#,
    r#""21:56:47.5""#,
];

pub(super) const OTHERS: [&str; 10] =
    ["true", "false", "null", "[]", "{}", "nul", "[1,2", r#"{"a":[1,{"b":"}"}]}"#, r#"{"a":1,"a":"x"}"#, "[{]"];

/// A series of choices. After its end, every choice is the first possibility.
pub(super) struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// Chooses a number below `count`.
    fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    fn long(&mut self) -> u64 {
        (0..8).fold(0, |long, _| long << 8 | u64::from(self.byte()))
    }

    fn of<'b>(&mut self, possible: &[&'b str]) -> &'b str {
        possible[self.below(possible.len())]
    }
}

/// Fields of all types, some below other keys, some required.
pub(super) fn fields(choices: &mut Choices<'_>) -> Vec<Field> {
    let count = 1 + choices.below(8);
    let paths: [&[&str]; 6] = [&[], &[], &[], &[], &["p"], &["p", "q"]];
    (0..count)
        .map(|i| {
            let field_type = choices.of(&TYPES);
            let name = format!("f{i}");
            let around = paths[choices.below(paths.len())];
            Field {
                input: FieldInput::Keys(around.iter().map(|key| (*key).to_owned()).chain([name.clone()]).collect()),
                required: choices.one_in(8),
                rules: ValueRules {
                    on_invalid: if choices.one_in(4) { OnInvalid::Null } else { OnInvalid::Quarantine },
                    null_values: if choices.one_in(6) { vec![String::new(), "39".to_owned()] } else { Vec::new() },
                    wrap: choices.one_in(4),
                    allow_nan: choices.one_in(4),
                    zone: choices.one_in(2).then_some(chrono_tz::Europe::Paris),
                    separators: match choices.below(8) {
                        6 => Separators { thousands: Some(','), decimal: '.' },
                        7 => Separators { thousands: Some('.'), decimal: ',' },
                        _ => Separators::JSON,
                    },
                },
                // The keys of `Style::record` that belong to no field.
                aliases: match i {
                    0 => (count..count + choices.below(3)).map(undeclared_path).collect(),
                    _ => Vec::new(),
                },
                ..field(&name, field_type)
            }
        })
        .collect()
}

/// Returns the path of the undeclared key with the number `i`.
fn undeclared_path(i: usize) -> Vec<String> {
    let around = &["p", "q"][..i % 3];
    around.iter().map(|key| (*key).to_owned()).chain([format!("u{i}")]).collect()
}

/// Up to 40 records of a few shapes: mostly with fitting values, some with edge values, other keys
/// in another order, or one or two wrong bytes.
pub(super) fn records(choices: &mut Choices<'_>, fields: &[Field]) -> Vec<Vec<u8>> {
    let shapes: Vec<(Style, Vec<usize>)> = (0..=choices.below(3))
        .map(|_| {
            let mut order: Vec<usize> = (0..fields.len() + 3).filter(|_| !choices.one_in(5)).collect();
            let at = choices.below(order.len().max(1));
            order.rotate_left(at);
            (Style::of(choices), order)
        })
        .collect();
    (0..2 + choices.below(38))
        .map(|_| {
            let (style, order) = &shapes[choices.below(shapes.len())];
            let mut order = order.clone();
            if choices.one_in(10) {
                let at = choices.below(order.len().max(1));
                order.rotate_left(at);
            }
            if choices.one_in(10) {
                order.pop();
            }
            if choices.one_in(10) {
                order.push(choices.below(fields.len() + 3));
            }
            let mut record = style.record(choices, fields, &order).into_bytes();
            if choices.one_in(5) {
                mutate(choices, &mut record);
            }
            record
        })
        .collect()
}

/// Blanks of a record, and the types of its undeclared fields.
struct Style {
    before: &'static str,
    comma: &'static str,
    colon: &'static str,
    after: &'static str,
}

impl Style {
    fn of(choices: &mut Choices<'_>) -> Self {
        Self {
            before: choices.of(&["", "", "", " "]),
            comma: choices.of(&[",", ", ", " ,\t", ",\n    "]),
            colon: choices.of(&[":", ": ", " :\r\n"]),
            after: choices.of(&["", "", "", " \r"]),
        }
    }

    fn record(&self, choices: &mut Choices<'_>, fields: &[Field], order: &[usize]) -> String {
        let mut members = Vec::new();
        let (mut p, mut q) = (Vec::new(), Vec::new());
        for &i in order {
            let (key, around, value) = match fields.get(i) {
                Some(field) => (field.name.clone(), field.keys().len() - 1, value(choices, field)),
                None => (format!("u{i}"), undeclared_path(i).len() - 1, any(choices)),
            };
            let key = if choices.one_in(60) { format!("\\u006{}", &key[1..]) } else { key };
            let member = format!("\"{key}\"{}{value}", self.colon);
            match around {
                0 => members.push(member),
                1 => p.push(member),
                _ => q.push(member),
            }
        }
        if !q.is_empty() {
            p.push(format!("\"q\"{}{}", self.colon, self.object(&q)));
        }
        if choices.one_in(20) {
            p = Vec::new();
            members.push(format!("\"p\"{}{}", self.colon, any(choices)));
        }
        if !p.is_empty() {
            members.push(format!("\"p\"{}{}", self.colon, self.object(&p)));
        }
        format!("{}{}{}", self.before, self.object(&members), self.after)
    }

    fn object(&self, members: &[String]) -> String {
        format!("{{{}}}", members.join(self.comma))
    }
}

/// A value that mostly fits the field.
fn value(choices: &mut Choices<'_>, field: &Field) -> String {
    match choices.below(12) {
        0 => return "null".to_owned(),
        1 => return any(choices),
        _ => {}
    }
    let declared = TYPES.iter().find(|name| super::field("", name).field_type == field.field_type);
    match *declared.unwrap() {
        "long" => long(choices),
        "double" => double(choices),
        "boolean" => choices.of(&["true", "false", "\"\""]).to_owned(),
        "timestamp(ms)" => (choices.long() % 4_000_000_000_000).to_string(),
        "timestamp(s)" => {
            format!("{}{}", choices.long() % 4_000_000_000, choices.of(&["", ".5", ".123456789"]))
        }
        "timestamp" => {
            let time = choices.of(&["21:56:47", "00:00:00.5", "23:59:60"]);
            format!("\"{}T{time}{}\"", date(choices), choices.of(&["Z", "+01:00", ""]))
        }
        "timestamp(us)" | "timestamp(ns)" => (choices.long() % 9_000_000_000_000_000_000).to_string(),
        "time" => choices.of(&[r#""21:56:47""#, r#""00:00""#, r#""23:59:59.1234567""#, r#""24:00""#]).to_owned(),
        "date" => format!("\"{}\"", date(choices)),
        "decimal(10,2)" => format!("{}.{:02}", choices.long() % 100_000_000, choices.below(100)),
        "list<long>" => format!("[{}, {}]", long(choices), long(choices)),
        "list<string>" => format!("[{}]", choices.of(&STRINGS)),
        "list<struct<a: double>>" => format!(r#"[{{"a":{}}},{{"b":{}}}]"#, double(choices), any(choices)),
        "struct<a: long, b: string>" => format!(r#"{{"b":{},"a":{}}}"#, choices.of(&STRINGS), long(choices)),
        "json" => any(choices),
        "map<string, long>" => format!(r#"{{"b":{},"a":{},"b":{}}}"#, long(choices), any(choices), long(choices)),
        "timestamp(auto)" => choices.of(&["1542837407", "1542837407.796123", r#""2018-11-21 21:56""#]).to_owned(),
        "binary(hex)" => choices.of(&[r#""00ff""#, r#""0""#, r#""\u0030""#]).to_owned(),
        _ if choices.one_in(3) => serde_json::json!(String::from_utf8_lossy(&choices.long().to_le_bytes())).to_string(),
        _ => choices.of(&STRINGS).to_owned(),
    }
}

fn date(choices: &mut Choices<'_>) -> String {
    format!("{:04}-{:02}-{:02}", choices.long() % 3000, 1 + choices.below(12), 1 + choices.below(29))
}

fn long(choices: &mut Choices<'_>) -> String {
    let digits = choices.long().to_string();
    let kept = 1 + choices.below(digits.len());
    let quote = choices.of(&["", "", "", "\""]);
    format!("{quote}{}{}{}{quote}", choices.of(&["", "-"]), &digits[..kept], choices.of(&["", "", ".0"]))
}

fn double(choices: &mut Choices<'_>) -> String {
    match choices.below(4) {
        0 => f64::from_bits(choices.long()).to_string().replace("NaN", "0").replace("inf", "1"),
        1 => format!("{:e}", choices.long()),
        2 => format!("{}.{}", choices.long() % 1000, choices.long()),
        _ => format!("{}.{}", choices.byte(), choices.long() % 1_000_000),
    }
}

fn any(choices: &mut Choices<'_>) -> String {
    match choices.below(3) {
        0 => choices.of(&NUMBERS).to_owned(),
        1 => choices.of(&STRINGS).to_owned(),
        _ => choices.of(&OTHERS).to_owned(),
    }
}

/// Changes, inserts or removes one or two bytes.
fn mutate(choices: &mut Choices<'_>, record: &mut Vec<u8>) {
    for _ in 0..=choices.below(2) {
        let at = (choices.long() % (record.len() as u64 + 1)) as usize;
        let byte = b"\"\\{}[],:.-+0e9u\0\n\x7f\xff \xc3dtn"[choices.below(24)];
        match choices.below(4) {
            0 => record.insert(at, byte),
            1 => record.truncate(at.max(1)),
            2 if at < record.len() => drop(record.remove(at)),
            _ if at < record.len() => record[at] = byte,
            _ => {}
        }
    }
}
