//! Prints rows as text, in the formats that `query` offers.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::printable;

/// Format of printed rows. In each format, Arrow prints a timestamp as RFC 3339 with the offset of
/// its time zone, `Z` for UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A table with borders, for people.
    Table,
    /// CSV according to RFC 4180, with a header line.
    Csv,
    /// One JSON array of objects.
    Json,
    /// One JSON object per line.
    JsonLines,
    /// A Markdown table.
    Markdown,
}

/// Writes all rows in a format.
///
/// # Errors
/// A storage error if the writer fails. A configuration error for a type that the format cannot
/// represent. A data error for a timestamp that cannot be printed.
pub(crate) fn write(out: &mut impl Write, batches: &[RecordBatch], format: Format) -> Result<()> {
    batches.iter().try_for_each(check_printable)?;
    batches.iter().try_for_each(|batch| check_no_json_value(&batch.schema()))?;
    let unformatted = || Error::internal("cannot format the result");
    match format {
        Format::Table => {
            // Escape control characters, because a person reads this in a terminal.
            let shown = batches.iter().map(as_shown).collect::<Result<Vec<_>>>()?;
            let text = pretty_format_batches(&shown).context(unformatted)?;
            writeln!(out, "{text}").map_err(output_error)
        }
        Format::Csv => {
            batches.iter().try_for_each(|batch| check_csv(&batch.schema()))?;
            let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(out);
            batches.iter().try_for_each(|batch| writer.write(batch)).context(unformatted)
        }
        Format::Json => {
            let mut writer = arrow::json::WriterBuilder::new()
                // Otherwise the writer omits null values, and rows would have different keys.
                .with_explicit_nulls(true)
                .build::<_, arrow::json::writer::JsonArray>(&mut *out);
            batches.iter().try_for_each(|batch| writer.write(batch)).context(unformatted)?;
            writer.finish().context(unformatted)?;
            writeln!(out).map_err(output_error)
        }
        Format::JsonLines => {
            let mut writer = arrow::json::WriterBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, arrow::json::writer::LineDelimited>(out);
            batches.iter().try_for_each(|batch| writer.write(batch)).context(unformatted)?;
            writer.finish().context(unformatted)
        }
        Format::Markdown => write_markdown(out, batches),
    }
}

/// Refuses the results of `->`, which are JSON values of any type. Formats of output have no such
/// type.
fn check_no_json_value(schema: &Schema) -> Result<()> {
    let is_json_value = |field: &&FieldRef| matches!(field.data_type(), DataType::Union(..));
    match schema.fields().iter().find(is_json_value) {
        Some(field) => Err(Error::configuration(format!("column `{}` is a JSON value of any type", field.name()))
            .hint("use `->>` for text, `json_get_json` for JSON text, or cast it")),
        None => Ok(()),
    }
}

/// Refuses timestamps, dates and times that are out of range. Arrow's writers would print them as
/// `ERROR: …`.
fn check_printable(batch: &RecordBatch) -> Result<()> {
    let options = FormatOptions::default();
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if !holds_time(field.data_type()) {
            continue;
        }
        let name = printable::line(field.name());
        let formatter = ArrayFormatter::try_new(column, &options).context(|| {
            Error::configuration(format!("column `{name}` cannot be printed"))
                .hint("write a time zone such as `Europe/London`, or an offset such as `+02:00`")
        })?;
        let mut text = String::new();
        for row in 0..column.len() {
            text.clear();
            formatter.value(row).write(&mut text).context(|| {
                Error::data(format!("column `{name}` has a timestamp, a date or a time that is out of range"))
                    .hint("check the unit of the number that it is made from, or select the number")
            })?;
        }
    }
    Ok(())
}

/// Returns whether values of a type are timestamps, dates or times of day, or contain them.
fn holds_time(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => holds_time(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_time(field.data_type())),
        DataType::Dictionary(_, values) => holds_time(values),
        other => other.is_temporal(),
    }
}

/// Refuses columns of nested types, which CSV cannot represent.
fn check_csv(schema: &Schema) -> Result<()> {
    let failures = schema.fields().iter().filter(|field| field.data_type().is_nested()).map(|field| {
        Error::configuration(format!(
            "column `{}` has type `{}`, which CSV cannot hold",
            printable::line(field.name()),
            field.data_type()
        ))
        .hint("use `--json` or `--jsonlines`, or cast it or select its members or elements in the query")
    });
    Error::join(failures).map_or(Ok(()), Err)
}

fn write_markdown(out: &mut impl Write, batches: &[RecordBatch]) -> Result<()> {
    let Some(first) = batches.first() else { return Ok(()) };
    let schema = first.schema();
    // A `|` would end the cell, and a line break would end the row.
    let cell = |text: &str| printable::line(text).replace('|', "\\|");
    let names: Vec<String> = schema.fields().iter().map(|field| cell(field.name())).collect();
    writeln!(out, "| {} |\n|{}", names.join(" | "), "---|".repeat(names.len())).map_err(output_error)?;
    for batch in batches {
        let columns = columns_as_text(batch)?;
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| cell(&column[row])).collect();
            writeln!(out, "| {} |", cells.join(" | ")).map_err(output_error)?;
        }
    }
    Ok(())
}

/// Returns the values of each column as text. Control characters are not escaped.
fn columns_as_text(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let unformatted = || Error::internal("cannot format the result");
    let options = FormatOptions::default();
    let column = |column: &ArrayRef| {
        let formatter = ArrayFormatter::try_new(column, &options).context(unformatted)?;
        (0..column.len()).map(|row| formatter.value(row).try_to_string().context(unformatted)).collect()
    };
    batch.columns().iter().map(column).collect()
}

/// Returns the batch with names and values as text. Each is one line that is safe to print on a
/// terminal.
fn as_shown(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let fields = schema.fields().iter().map(|field| Field::new(printable::line(field.name()), DataType::Utf8, false));
    let columns = columns_as_text(batch)?.into_iter().map(|column| {
        Arc::new(StringArray::from_iter_values(column.iter().map(|text| printable::line(text)))) as ArrayRef
    });
    let (fields, columns) = (fields.collect::<Vec<_>>(), columns.collect());
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).context(|| Error::internal("cannot format the result"))
}

fn output_error(error: std::io::Error) -> Error {
    Error::storage("write", "standard output", error)
}

/// Formats a number of objects, such as `1 object` and `2 objects`.
pub(crate) fn objects(count: usize) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}

/// Formats a size in decimal units, as storage providers bill it.
pub(crate) fn bytes(size: u64) -> String {
    indicatif::DecimalBytes(size).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_csv_cannot_hold_is_named() {
        let list = DataType::new_list(DataType::Int64, true);
        let fields = vec![Field::new("id", DataType::Int64, true), Field::new("tags", list, true)];
        let batch = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
        let error = write(&mut Vec::new(), &[batch], Format::Csv).unwrap_err();
        assert!(error.message.contains("column `tags`"), "{error}");
        assert!(error.hint.unwrap().contains("`--json`"));
    }
}
