//! Checksum of a table. It does not depend on the order of rows, files or partitions.
//!
//! The checksum is the sum of one hash per row, modulo 2^64, as 16 hex digits. A row's hash is the
//! first 8 bytes of the MD5 digest of its values as text, so it is the same on every machine. No
//! two different rows have the same text, because each value follows its own length, and null has a
//! mark of its own. This is so within lists, structs and maps too.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, ListArray, OffsetSizeTrait, StringArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::DataType;
use arrow::util::display::FormatOptions;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use futures::StreamExt;
use lakewright_common::error::{EngineContext, Result};
use lakewright_common::session::plan_failure::stage_error;

use crate::lake::manifest::TableState;
use crate::query_text::row_digests;
use crate::view::View;

const TEXT_OF: &str = "lakewright_text_of";

/// Computes the checksum of one table.
///
/// # Errors
/// A storage error if a file cannot be read.
pub(super) async fn table_checksum(view: &View, table: &TableState) -> Result<String> {
    view.register(ScalarUDF::new_from_impl(TextOf { signature: Signature::any(1, Volatility::Immutable) }));
    let schema = table.columns.arrow_schema()?;
    let sql = row_digests(&table.name, schema.fields(), TEXT_OF);
    let mut sum = 0_u64;
    let mut rows = view.stream(&sql).await?;
    while let Some(batch) = rows.next().await {
        let batch = batch.engine_context(stage_error)?;
        // No digest is null, because the query replaces null values before it computes the digests.
        for digest in batch.column(0).as_binary::<i32>().iter().flatten() {
            let mut first = [0; 8];
            first.copy_from_slice(&digest[..8]);
            sum = sum.wrapping_add(u64::from_be_bytes(first));
        }
    }
    Ok(format!("{sum:016x}"))
}

/// SQL function that converts a value of any type to text. An SQL cast cannot be used for this,
/// because it does not support structs and converts some different lists to the same text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TextOf {
    signature: Signature,
}

impl ScalarUDFImpl for TextOf {
    fn name(&self) -> &'static str {
        TEXT_OF
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let values = args.args[0].to_array(args.number_rows)?;
        Ok(ColumnarValue::Array(Arc::new(texts(&values)?)))
    }
}

fn texts(values: &ArrayRef) -> EngineResult<StringArray> {
    match values.data_type() {
        DataType::Struct(_) => {
            let members = values.as_struct().columns().iter().map(texts).collect::<EngineResult<Vec<_>>>()?;
            // The length before each member keeps `{a: "1,2"}` different from `{a: "1", b: "2"}`.
            Ok(rows(values, |row, text| members.iter().for_each(|member| push(text, member, row))))
        }
        DataType::List(_) => list_texts(values.as_list::<i32>()),
        DataType::LargeList(_) => list_texts(values.as_list::<i64>()),
        DataType::Map(entries, _) => {
            // A map is stored as a list of its entries. The list has the same length.
            let map = values.as_map();
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            let entries = ListArray::try_new(Arc::clone(entries), offsets, Arc::new(map.entries().clone()), nulls)?;
            list_texts(&entries)
        }
        DataType::FixedSizeList(item, _) | DataType::ListView(item) => {
            texts(&cast(values, &DataType::List(Arc::clone(item)))?)
        }
        DataType::LargeListView(item) => texts(&cast(values, &DataType::LargeList(Arc::clone(item)))?),
        DataType::Dictionary(_, value) => texts(&cast(values, value)?),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            // Hex digits, because bytes need not be valid UTF-8.
            let bytes = cast(values, &DataType::LargeBinary)?;
            let bytes = bytes.as_binary::<i64>();
            Ok(rows(values, |row, text| {
                for byte in bytes.value(row) {
                    let _ = write!(text, "{byte:02x}");
                }
            }))
        }
        _ => {
            // Fail on a value that cannot be converted, because with null in its place two
            // different tables would look equal.
            let options = CastOptions { safe: false, format_options: FormatOptions::default() };
            Ok(cast_with_options(values, &DataType::Utf8, &options)?.as_string::<i32>().clone())
        }
    }
}

fn list_texts<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> EngineResult<StringArray> {
    let items = texts(lists.values())?;
    let lists_array: ArrayRef = Arc::new(lists.clone());
    Ok(rows(&lists_array, |row, text| {
        // Use the offsets unchanged. In a sliced array they do not start at 0, but `items` has the
        // texts of the whole child array.
        let offsets = lists.value_offsets();
        for item in offsets[row].as_usize()..offsets[row + 1].as_usize() {
            push(text, &items, item);
        }
    }))
}

/// Returns the texts of all rows of `values`. `append` writes the text of the row with a given
/// index. The text of a null row is null.
fn rows(values: &ArrayRef, mut append: impl FnMut(usize, &mut String)) -> StringArray {
    (0..values.len())
        .map(|row| {
            values.is_valid(row).then(|| {
                let mut text = String::new();
                append(row, &mut text);
                text
            })
        })
        .collect()
}

fn push(text: &mut String, values: &StringArray, row: usize) {
    if values.is_null(row) {
        text.push_str("null,");
    } else {
        let value = values.value(row);
        let _ = write!(text, "{}:{value},", value.len());
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ListArray, StructArray};
    use arrow::datatypes::{Field, Int64Type};

    use super::*;

    #[test]
    fn no_two_values_of_a_nested_type_have_one_text() {
        let ints = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
            Some(vec![Some(1), Some(2)]),
            Some(vec![Some(12)]),
            Some(vec![Some(1), None]),
            Some(vec![None]),
            Some(vec![]),
            None,
        ]);
        let found = texts(&(Arc::new(ints) as ArrayRef)).unwrap();
        let found: Vec<_> = found.iter().collect();
        assert_eq!(found, [Some("1:1,1:2,"), Some("2:12,"), Some("1:1,null,"), Some("null,"), Some(""), None]);

        let field = |name| Arc::new(Field::new(name, DataType::Utf8, true));
        let members = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
        let structs = StructArray::from(vec![
            (field("a"), members(vec![Some("x,"), Some("x"), None, Some("")])),
            (field("b"), members(vec![Some("y"), Some(",y"), Some("y"), None])),
        ]);
        let found = texts(&(Arc::new(structs) as ArrayRef)).unwrap();
        let found: Vec<_> = found.iter().flatten().collect();
        assert_eq!(found, ["2:x,,1:y,", "1:x,2:,y,", "null,1:y,", "0:,null,"]);
    }
}
