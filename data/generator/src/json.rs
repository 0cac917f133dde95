//! JSON formats of song files and log files. Both use only ASCII. Song files have spaces between
//! tokens; the log escapes slashes.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// JSON format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Format of song files, such as `{"title": "AC/DC", "year": 0}`.
    Song,
    /// Format of log files, such as `{"song":"AC\/DC","length":null}`.
    Log,
}

/// Appends `record` to `text`.
pub(crate) fn append(text: &mut Vec<u8>, record: &impl Serialize, spelling: Spelling) -> io::Result<()> {
    record.serialize(&mut Serializer::with_formatter(text, spelling)).map_err(io::Error::from)
}

impl Formatter for Spelling {
    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        match (first, self) {
            (true, _) => Ok(()),
            (false, Self::Song) => writer.write_all(b", "),
            (false, Self::Log) => writer.write_all(b","),
        }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(if *self == Self::Song { b": " } else { b":" })
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c: char| !c.is_ascii() || (c == '/' && *self == Self::Log)) {
            let (plain, special) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut characters = special.chars();
            match characters.next() {
                Some('/') => writer.write_all(b"\\/")?,
                Some(character) => {
                    // A character outside of the basic plane becomes a surrogate pair (RFC 8259,
                    // section 7).
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
                None => {}
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_is_that_of_its_files() {
        #[derive(Serialize)]
        struct Record {
            text: &'static str,
            number: f64,
            nothing: Option<&'static str>,
        }
        let record = Record { text: "a/b \"è\" 🎵\\", number: 269.58322, nothing: None };
        for (spelling, expected) in [
            (Spelling::Song, r#"{"text": "a/b \"\u00e8\" \ud83c\udfb5\\", "number": 269.58322, "nothing": null}"#),
            (Spelling::Log, r#"{"text":"a\/b \"\u00e8\" \ud83c\udfb5\\","number":269.58322,"nothing":null}"#),
        ] {
            let mut text = Vec::new();
            append(&mut text, &record, spelling).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }
}
