//! ③ Names of types and texts of values, for the messages of faults.

use crate::config::resolved::{BinaryEncoding, FieldType};
use crate::read::json::coerce::Scalar;

/// Maximum number of characters of a value that a rejection shows.
const SHOWN_CHARACTERS: usize = 60;

pub(in crate::read) fn type_name(field_type: &FieldType) -> &'static str {
    match field_type {
        FieldType::String => "string",
        FieldType::Long => "long",
        FieldType::Double => "double",
        FieldType::Boolean => "boolean",
        FieldType::Timestamp(_) => "timestamp",
        FieldType::Date => "date",
        FieldType::Time => "time of day",
        FieldType::Decimal { .. } => "decimal of the declared precision and scale",
        FieldType::Binary(BinaryEncoding::Base64) => "base64 text",
        FieldType::Binary(BinaryEncoding::Hex) => "text of hexadecimal digits",
        FieldType::Json => "JSON value",
        FieldType::List(_) => "list",
        FieldType::Map(_) => "map",
        FieldType::Struct(_) => "struct",
    }
}

pub(in crate::read) fn shown(value: Scalar<'_>) -> String {
    match value {
        Scalar::Boolean(value) => format!("`{value}`"),
        Scalar::Signed(value) => format!("`{value}`"),
        Scalar::Unsigned(value) => format!("`{value}`"),
        Scalar::Double(value) => format!("`{value}`"),
        Scalar::Number(text) => shown_text(text),
        Scalar::Text(text) => {
            shown_text(&format!("\"{}\"", text.chars().take(SHOWN_CHARACTERS + 1).collect::<String>()))
        }
    }
}

/// Returns the start of a text in backticks, for a message.
pub(in crate::read) fn shown_text(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}…`", &text[..end]),
    }
}
