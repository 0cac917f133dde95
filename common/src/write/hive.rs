//! Partition values as text and as folder names.
//!
//! Folders are named `column=value`, with every byte outside RFC 3986's unreserved set
//! percent-encoded. Readers that parse partition values from the path, such as Polars, decode
//! exactly this encoding. Encoding fewer bytes would break some readers.

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{Context, Error, Result};

/// Hive's representation of null in folder names.
pub const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// Bytes to encode: all except the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Maximum length of a folder's name on common file systems, in bytes.
const MAX_FOLDER_BYTES: usize = 255;
/// Maximum number of characters of a partition value that an error message quotes.
const SHOWN_CHARACTERS: usize = 40;

/// Returns the folder name for one partition column and its value, such as `year=2018`.
///
/// # Errors
/// A data error, if the value is too long for a folder's name.
pub fn folder(column: &str, value: Option<&str>) -> Result<String> {
    // Names of columns may contain any character, so encode both sides of the `=`.
    let encoded = utf8_percent_encode(column, RESERVED);
    let folder = match value {
        Some(value) => format!("{encoded}={}", utf8_percent_encode(value, RESERVED)),
        None => format!("{encoded}={NULL_FOLDER}"),
    };
    if folder.len() > MAX_FOLDER_BYTES {
        let shown: String = value.unwrap_or_default().chars().take(SHOWN_CHARACTERS).collect();
        return Err(Error::data(format!(
            "partition column `{column}` has the value `{shown}…`, for which a folder's name would be {} bytes long, \
             but at most {MAX_FOLDER_BYTES} are allowed",
            folder.len()
        ))
        .hint("partition by a shorter value, such as a year or the first letters"));
    }
    Ok(folder)
}

/// Whether a table can be partitioned by a column of this type. Timestamps are excluded, because
/// readers disagree on their text (the Delta protocol allows two forms), and because a folder per
/// microsecond is useless.
#[must_use]
pub fn is_partition_type(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Utf8 | DataType::Date32 | DataType::Boolean)
}

/// Returns the value of row `row` in the form of the Delta log (protocol, "Partition Value
/// Serialization"); `None` for null. An empty text is null too, because most readers cannot
/// distinguish an empty text from null.
///
/// # Errors
/// An internal error, for a type that [`is_partition_type`] excludes.
pub fn value_text(column: &dyn Array, row: usize) -> Result<Option<String>> {
    if column.is_null(row) {
        return Ok(None);
    }
    if let Some(text) = column.as_string_opt::<i32>() {
        let value = text.value(row);
        return Ok((!value.is_empty()).then(|| value.to_owned()));
    }
    if !is_partition_type(column.data_type()) {
        return Err(Error::internal(format!("a table cannot be partitioned by a {}", column.data_type())));
    }
    let formatter = ArrayFormatter::try_new(column, &FormatOptions::default())
        .context(|| Error::internal("cannot format a partition value"))?;
    Ok(Some(formatter.value(row).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, Int32Array, StringArray};

    #[test]
    fn only_unreserved_characters_stay_in_a_folder_name() {
        for (value, expected) in [
            ("a b", "c=a%20b"),
            ("x=y", "c=x%3Dy"),
            ("a/b?c#d", "c=a%2Fb%3Fc%23d"),
            ("%", "c=%25"),
            ("é", "c=%C3%A9"),
            ("-._~", "c=-._~"),
            ("a%20b", "c=a%2520b"),
        ] {
            assert_eq!(folder("c", Some(value)).unwrap(), expected);
        }
        assert_eq!(folder("c", None).unwrap(), "c=__HIVE_DEFAULT_PARTITION__");
        let error = folder("c", Some(&"ä".repeat(43))).unwrap_err();
        assert!(error.to_string().contains("260 bytes long"), "{error}");
    }

    #[test]
    fn values_have_the_form_of_the_delta_log() {
        assert_eq!(value_text(&Int32Array::from(vec![Some(2018)]), 0).unwrap(), Some("2018".into()));
        assert_eq!(value_text(&Date32Array::from(vec![17_856]), 0).unwrap(), Some("2018-11-21".into()));
        assert_eq!(value_text(&StringArray::from(vec![""]), 0).unwrap(), None);
        assert_eq!(value_text(&StringArray::from(vec![None::<&str>]), 0).unwrap(), None);
    }
}
