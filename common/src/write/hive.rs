//! Partition values as text and as folder names.
//!
//! Folders are `column=value` with every byte outside RFC 3986's unreserved set percent-encoded: readers that take
//! partition values from the path (Polars does) decode exactly that; anything looser is wrong in some reader.

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{Context, Error, Result};

/// The folder of rows whose value is null, in Hive's own spelling.
pub const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// RFC 3986, section 2.3: unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest name of a folder on common file systems, in bytes.
const MAX_FOLDER_BYTES: usize = 255;
/// How much of a long value a message shows, in characters.
const SHOWN_CHARACTERS: usize = 40;

/// `column=value`, for one level of folders.
///
/// # Errors
/// Data, for a value that is too long for a folder's name.
pub fn folder(column: &str, value: Option<&str>) -> Result<String> {
    let encoded = utf8_percent_encode(column, RESERVED);
    let folder = match value {
        Some(value) => format!("{encoded}={}", utf8_percent_encode(value, RESERVED)),
        None => format!("{encoded}={NULL_FOLDER}"),
    };
    if folder.len() > MAX_FOLDER_BYTES {
        let shown: String = value.unwrap_or_default().chars().take(SHOWN_CHARACTERS).collect();
        return Err(Error::data(format!(
            "partition column `{column}` has the value `{shown}…`, for which a folder's name would be {} bytes long, \
             {MAX_FOLDER_BYTES} at the most",
            folder.len()
        ))
        .hint("partition by something short, such as a year or the first letters"));
    }
    Ok(folder)
}

/// Whether a table can be partitioned by a column of this type. Timestamps are left out: readers disagree on their
/// text (the Delta protocol allows two forms), and a folder per microsecond helps no one.
#[must_use]
pub fn is_partition_type(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Utf8 | DataType::Date32 | DataType::Boolean)
}

/// The value of row `row` as the Delta log writes it (protocol, "Partition Value Serialization"); `None` for null.
/// An empty text is null too: most readers cannot tell the two apart.
///
/// # Errors
/// A type that [`is_partition_type`] refuses.
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
    fn values_are_written_as_the_delta_log_wants_them() {
        assert_eq!(value_text(&Int32Array::from(vec![Some(2018)]), 0).unwrap(), Some("2018".into()));
        assert_eq!(value_text(&Date32Array::from(vec![17_856]), 0).unwrap(), Some("2018-11-21".into()));
        assert_eq!(value_text(&StringArray::from(vec![""]), 0).unwrap(), None);
        assert_eq!(value_text(&StringArray::from(vec![None::<&str>]), 0).unwrap(), None);
    }
}
