//! The grammar of field types.
//!
//! ```text
//! type   = string | long | double | boolean | date | json
//!        | timestamp [ ( format { , format } ) ]
//!        | decimal ( precision , scale )
//!        | binary ( base64 | hex )
//!        | list < type >
//!        | map < string , type >
//!        | struct < name : type { , name : type } >
//! format = s | ms | us | ns | rfc3339 | auto | quoted
//! name   = letters, digits and _ | quoted
//! quoted = " text " | ' text '
//! ```
//!
//! Spaces are allowed between any two of these words and signs. `timestamp` alone is RFC 3339 text.
//! In a quoted text, two quotes mean one.

use std::borrow::Cow;

use super::diagnostics::{Diagnostic, did_you_mean};
use super::name::same_but_for_case;
use super::resolved::{BinaryEncoding, Field, FieldType, TimestampFormat};
use super::timestamp_pattern::TimestampPattern;

/// Maximum nesting of lists and structs. It is limited because reading and writing recurse into
/// them.
const MAX_DEPTH: usize = 16;
/// Maximum number of digits of a decimal that Arrow, Parquet and Delta all support.
const MAX_PRECISION: u8 = 38;

const NAMES: &[&str] = &[
    "string",
    "long",
    "double",
    "boolean",
    "timestamp",
    "date",
    "time",
    "decimal",
    "binary",
    "json",
    "list",
    "map",
    "struct",
];

/// Formats of timestamps that have a name.
const TIMESTAMP_FORMATS: &[(&str, TimestampFormat)] = &[
    ("s", TimestampFormat::EpochSeconds),
    ("ms", TimestampFormat::EpochMilliseconds),
    ("us", TimestampFormat::EpochMicroseconds),
    ("ns", TimestampFormat::EpochNanoseconds),
    ("rfc3339", TimestampFormat::Rfc3339),
    ("auto", TimestampFormat::Auto),
];

/// Hint for a member's name that needs quotes.
const ODD_NAME: &str = "write other names in quotes, such as `\"x-id\": long`";

/// Names that other systems use for our types, each with our name.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("text", "string"),
    ("str", "string"),
    ("varchar", "string"),
    ("int", "long"),
    ("integer", "long"),
    ("bigint", "long"),
    ("int64", "long"),
    ("float", "double"),
    ("float64", "double"),
    ("number", "double"),
    ("bool", "boolean"),
    ("datetime", "timestamp"),
    ("numeric", "decimal"),
    ("array", "list"),
    ("object", "struct"),
    ("bytes", "binary"),
    ("blob", "binary"),
];

/// Parses a type.
///
/// # Errors
/// The fault, worded to follow the field's name: ``has unknown type `timestmp` ``.
pub(super) fn parse(text: &str) -> Result<FieldType, Diagnostic> {
    let mut parser = Parser { text, rest: text };
    let parsed = parser.field_type(1)?;
    // Another sign after the type, such as a second `>`, is a fault.
    match parser.peek() {
        None => Ok(parsed),
        Some(_) => Err(parser.expected("nothing more")),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Unparsed rest of `text`.
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn field_type(&mut self, depth: usize) -> Result<FieldType, Diagnostic> {
        if depth > MAX_DEPTH {
            return Err(Diagnostic::new(format!("has a type of more than {MAX_DEPTH} levels"))
                .hint("declare the inner part as `json`".to_owned()));
        }
        match self.word() {
            "string" => Ok(FieldType::String),
            "long" => Ok(FieldType::Long),
            "double" => Ok(FieldType::Double),
            "boolean" => Ok(FieldType::Boolean),
            "date" => Ok(FieldType::Date),
            "time" => Ok(FieldType::Time),
            "json" => Ok(FieldType::Json),
            "timestamp" => self.timestamp(),
            "decimal" => self.decimal(),
            "binary" => self.binary(),
            "map" => self.map(depth),
            "list" => {
                self.sign('<')?;
                let items = self.field_type(depth + 1)?;
                self.sign('>')?;
                Ok(FieldType::List(Box::new(items)))
            }
            "struct" => self.members(depth),
            "" => Err(self.expected("a type")),
            unknown => Err(self.unknown_type(unknown)),
        }
    }

    fn timestamp(&mut self) -> Result<FieldType, Diagnostic> {
        if self.peek() != Some('(') {
            return Ok(FieldType::Timestamp(vec![TimestampFormat::Rfc3339]));
        }
        self.sign('(')?;
        let mut formats = Vec::new();
        loop {
            formats.push(self.timestamp_format()?);
            if self.peek() != Some(',') {
                break;
            }
            self.sign(',')?;
        }
        self.sign(')')?;
        Ok(FieldType::Timestamp(formats))
    }

    fn timestamp_format(&mut self) -> Result<TimestampFormat, Diagnostic> {
        if let Some(text) = self.quoted()? {
            let pattern = TimestampPattern::parse(&text).ok_or_else(|| {
                let message = format!("has type `{}` with the format `{text}`, which determines no time", self.text);
                let hint = "write a format of `strftime` with a date, such as `\"%d/%b/%Y:%H:%M:%S %z\"`";
                Diagnostic::new(message).hint(hint.to_owned())
            })?;
            return Ok(TimestampFormat::Pattern(pattern));
        }
        let name = self.word();
        let known = TIMESTAMP_FORMATS.iter().find(|(known, _)| *known == name);
        known.map(|(_, format)| format.clone()).ok_or_else(|| {
            let names: Vec<_> = TIMESTAMP_FORMATS.iter().map(|(name, _)| *name).collect();
            Diagnostic::new(format!("has type `{}` with unknown timestamp format `{name}`", self.text))
                .hint(format!("write {}, or a format of `strftime` in quotes", names.join(", ")))
        })
    }

    fn binary(&mut self) -> Result<FieldType, Diagnostic> {
        let hint = || "write `binary(base64)` or `binary(hex)`".to_owned();
        self.sign('(').map_err(|diagnostic| diagnostic.hint(hint()))?;
        let encoding = match self.word() {
            "base64" => BinaryEncoding::Base64,
            "hex" => BinaryEncoding::Hex,
            unknown => {
                let message = format!("has type `{}` with unknown encoding `{unknown}`", self.text);
                return Err(Diagnostic::new(message).hint(hint()));
            }
        };
        self.sign(')')?;
        Ok(FieldType::Binary(encoding))
    }

    fn map(&mut self, depth: usize) -> Result<FieldType, Diagnostic> {
        let hint = || "the keys of a JSON object are strings: write `map<string, …>`".to_owned();
        self.sign('<').map_err(|diagnostic| diagnostic.hint(hint()))?;
        if self.word() != "string" {
            let message = format!("has type `{}`, where the type of the keys is not `string`", self.text);
            return Err(Diagnostic::new(message).hint(hint()));
        }
        self.sign(',').map_err(|diagnostic| diagnostic.hint(hint()))?;
        let values = self.field_type(depth + 1)?;
        self.sign('>')?;
        Ok(FieldType::Map(Box::new(values)))
    }

    fn decimal(&mut self) -> Result<FieldType, Diagnostic> {
        let sample = || "write precision and scale, such as `decimal(10,2)`".to_owned();
        self.sign('(').map_err(|diagnostic| diagnostic.hint(sample()))?;
        let precision = self.word();
        self.sign(',').map_err(|diagnostic| diagnostic.hint(sample()))?;
        let scale = self.word();
        self.sign(')').map_err(|diagnostic| diagnostic.hint(sample()))?;
        match (precision.parse::<u8>(), scale.parse::<i8>()) {
            // Delta and Parquet have no negative scales.
            (Ok(precision @ 1..=MAX_PRECISION), Ok(scale)) if scale >= 0 && scale.unsigned_abs() <= precision => {
                Ok(FieldType::Decimal { precision, scale })
            }
            _ => Err(Diagnostic::new(format!("has type `decimal({precision},{scale})`, which is not possible"))
                .hint(format!("the precision is 1 to {MAX_PRECISION}, the scale 0 to the precision"))),
        }
    }

    fn members(&mut self, depth: usize) -> Result<FieldType, Diagnostic> {
        self.sign('<')?;
        let mut members: Vec<Field> = Vec::new();
        loop {
            let name = self.member_name()?;
            // Delta ignores the case of names, at every level.
            if members.iter().any(|member| same_but_for_case(&member.name, &name)) {
                return Err(Diagnostic::new(format!("has a type with two members `{name}`")));
            }
            let is_odd = self.peek().is_some_and(|next| next.is_ascii_punctuation() && !matches!(next, '>' | ','));
            self.sign(':')
                .map_err(|diagnostic| if is_odd { diagnostic.hint(ODD_NAME.to_owned()) } else { diagnostic })?;
            // The JSON key of a member is always its name.
            members.push(Field::new(&name, self.field_type(depth + 1)?));
            if self.peek() != Some(',') {
                break;
            }
            self.sign(',')?;
        }
        self.sign('>')?;
        Ok(FieldType::Struct(members))
    }

    fn member_name(&mut self) -> Result<Cow<'a, str>, Diagnostic> {
        if let Some(name) = self.quoted()? {
            return if name.is_empty() { Err(self.expected("a member's name that is not empty")) } else { Ok(name) };
        }
        let before = self.rest;
        let name = self.word();
        if name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
            return Ok(Cow::Borrowed(name));
        }
        self.rest = before;
        let expected = self.expected("a member's name");
        // `>` and the end follow if the name is missing. Other names only need quotes.
        let is_odd = self.peek().is_some_and(|first| !matches!(first, '>' | ',' | ':'));
        Err(if is_odd { expected.hint(ODD_NAME.to_owned()) } else { expected })
    }

    /// Reads a text in single or double quotes, if one follows. Two quotes inside it mean one.
    fn quoted(&mut self) -> Result<Option<Cow<'a, str>>, Diagnostic> {
        let Some(quote @ ('"' | '\'')) = self.peek() else { return Ok(None) };
        let inside = &self.rest[1..];
        let mut end = 0;
        loop {
            let Some(length) = inside[end..].find(quote) else {
                return Err(Diagnostic::new(format!("has type `{}`, where a quote is never closed", self.text)));
            };
            end += length;
            if !inside[end + 1..].starts_with(quote) {
                break;
            }
            end += 2;
        }
        self.rest = &inside[end + 1..];
        let doubled = [quote, quote].iter().collect::<String>();
        let text = &inside[..end];
        Ok(Some(if text.contains(&doubled) { text.replace(&doubled, &quote.to_string()).into() } else { text.into() }))
    }

    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    /// Reads the next letters, digits and underscores; may return an empty text.
    fn word(&mut self) -> &'a str {
        self.peek();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn sign(&mut self, sign: char) -> Result<(), Diagnostic> {
        self.peek();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(self.expected(&format!("`{sign}`"))),
        }
    }

    /// Returns a fault that says: `what` is expected at the current position.
    fn expected(&self, what: &str) -> Diagnostic {
        let found = if self.rest.is_empty() { "at its end".to_owned() } else { format!("before `{}`", self.rest) };
        Diagnostic::new(format!("has type `{}`, where {what} is expected {found}", self.text))
    }

    fn unknown_type(&self, unknown: &str) -> Diagnostic {
        // Name the whole type only if the unknown word is just a part of it.
        let whole = if unknown.len() == self.text.trim().len() { "" } else { &format!(" in `{}`", self.text) };
        let other = OTHER_NAMES.iter().find(|(other, _)| same_but_for_case(other, unknown));
        let hint = match other {
            Some((_, ours)) => Some(format!("did you mean `{ours}`?")),
            None => did_you_mean(unknown, NAMES.iter().copied()),
        };
        Diagnostic::new(format!("has unknown type `{unknown}`{whole}"))
            .hint(hint.unwrap_or_else(|| format!("the types are {}", NAMES.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, field_type: FieldType) -> Field {
        Field::new(name, field_type)
    }

    #[test]
    fn every_type_can_be_written() {
        let list = |items| FieldType::List(Box::new(items));
        let cases = [
            ("string", FieldType::String),
            (" long ", FieldType::Long),
            ("double", FieldType::Double),
            ("boolean", FieldType::Boolean),
            ("date", FieldType::Date),
            ("time", FieldType::Time),
            ("json", FieldType::Json),
            ("timestamp", FieldType::Timestamp(vec![TimestampFormat::Rfc3339])),
            ("timestamp(rfc3339)", FieldType::Timestamp(vec![TimestampFormat::Rfc3339])),
            ("timestamp( ms )", FieldType::Timestamp(vec![TimestampFormat::EpochMilliseconds])),
            ("timestamp(s)", FieldType::Timestamp(vec![TimestampFormat::EpochSeconds])),
            (
                "timestamp(us, ns, auto, '%Y-%m-%d', \"at \"\"%s\"\"\")",
                FieldType::Timestamp(vec![
                    TimestampFormat::EpochMicroseconds,
                    TimestampFormat::EpochNanoseconds,
                    TimestampFormat::Auto,
                    TimestampFormat::Pattern(TimestampPattern::parse("%Y-%m-%d").unwrap()),
                    TimestampFormat::Pattern(TimestampPattern::parse("at \"%s\"").unwrap()),
                ]),
            ),
            ("binary(base64)", FieldType::Binary(BinaryEncoding::Base64)),
            ("binary( hex )", FieldType::Binary(BinaryEncoding::Hex)),
            ("map<string, list<long>>", FieldType::Map(Box::new(list(FieldType::Long)))),
            (
                "struct<\"$oid\": string, 'Total Rows': long, \"a\"\"b'\": date>",
                FieldType::Struct(vec![
                    field("$oid", FieldType::String),
                    field("Total Rows", FieldType::Long),
                    field("a\"b'", FieldType::Date),
                ]),
            ),
            ("decimal(38,0)", FieldType::Decimal { precision: 38, scale: 0 }),
            ("decimal( 4 , 4 )", FieldType::Decimal { precision: 4, scale: 4 }),
            ("list<list<timestamp(ms)>>", list(list(FieldType::Timestamp(vec![TimestampFormat::EpochMilliseconds])))),
            (
                "struct<b: long, a_1: list<struct<_x:decimal(10,2)>>>",
                FieldType::Struct(vec![
                    field("b", FieldType::Long),
                    field(
                        "a_1",
                        list(FieldType::Struct(vec![field("_x", FieldType::Decimal { precision: 10, scale: 2 })])),
                    ),
                ]),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_name_the_position_and_suggest_a_type() {
        let cases = [
            ("", "has type ``, where a type is expected at its end", None),
            ("String", "has unknown type `String`", Some("did you mean `string`?")),
            ("BIGINT", "has unknown type `BIGINT`", Some("did you mean `long`?")),
            ("list<bool>", "has unknown type `bool` in `list<bool>`", Some("did you mean `boolean`?")),
            ("long long", "has type `long long`, where nothing more is expected before `long`", None),
            ("list", "has type `list`, where `<` is expected at its end", None),
            ("list<long", "has type `list<long`, where `>` is expected at its end", None),
            ("list<>", "has type `list<>`, where a type is expected before `>`", None),
            ("struct<>", "has type `struct<>`, where a member's name is expected before `>`", None),
            ("struct<a long>", "has type `struct<a long>`, where `:` is expected before `long>`", None),
            ("struct<a: long, A: long>", "has a type with two members `A`", None),
            (
                "decimal",
                "has type `decimal`, where `(` is expected at its end",
                Some("write precision and scale, such as `decimal(10,2)`"),
            ),
            (
                "decimal(39,2)",
                "has type `decimal(39,2)`, which is not possible",
                Some("the precision is 1 to 38, the scale 0 to the precision"),
            ),
            (
                "decimal(2,3)",
                "has type `decimal(2,3)`, which is not possible",
                Some("the precision is 1 to 38, the scale 0 to the precision"),
            ),
            (
                "timestamp(min)",
                "has type `timestamp(min)` with unknown timestamp format `min`",
                Some("write s, ms, us, ns, rfc3339, auto, or a format of `strftime` in quotes"),
            ),
            (
                "timestamp('%H:%M')",
                "has type `timestamp('%H:%M')` with the format `%H:%M`, which determines no time",
                Some("write a format of `strftime` with a date, such as `\"%d/%b/%Y:%H:%M:%S %z\"`"),
            ),
            (
                "timestamp('%Y-%m-%d %Q')",
                "has type `timestamp('%Y-%m-%d %Q')` with the format `%Y-%m-%d %Q`, which determines no time",
                Some("write a format of `strftime` with a date, such as `\"%d/%b/%Y:%H:%M:%S %z\"`"),
            ),
            ("timestamp('%s)", "has type `timestamp('%s)`, where a quote is never closed", None),
            (
                "binary",
                "has type `binary`, where `(` is expected at its end",
                Some("write `binary(base64)` or `binary(hex)`"),
            ),
            (
                "map<long, long>",
                "has type `map<long, long>`, where the type of the keys is not `string`",
                Some("the keys of a JSON object are strings: write `map<string, …>`"),
            ),
            (
                "struct<x-id: long>",
                "has type `struct<x-id: long>`, where `:` is expected before `-id: long>`",
                Some("write other names in quotes, such as `\"x-id\": long`"),
            ),
            (
                "struct<$id: long>",
                "has type `struct<$id: long>`, where a member's name is expected before `$id: long>`",
                Some("write other names in quotes, such as `\"x-id\": long`"),
            ),
        ];
        for (text, message, hint) in cases {
            assert_eq!(parse(text), Err(Diagnostic::new(message).hint(hint.map(str::to_owned))), "{text}");
        }
    }

    #[test]
    fn types_are_nested_up_to_a_limit() {
        let nested = |levels: usize| format!("{}long{}", "list<".repeat(levels - 1), ">".repeat(levels - 1));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        let diagnostic = parse(&nested(100_000)).unwrap_err();
        assert_eq!(diagnostic.message, "has a type of more than 16 levels");
    }
}
