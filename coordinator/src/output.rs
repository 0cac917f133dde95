//! Rows as text, in the formats that `query` offers.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches;
use lakewright_common::error::{Context, Error, Result};
use lakewright_common::printable;

/// How rows are written. Arrow prints a moment as RFC 3339 with the offset of its zone, `Z` for UTC, in every format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A box, for people.
    Table,
    /// RFC 4180, with a header.
    Csv,
    /// One JSON array of objects.
    Json,
    /// One JSON object a line.
    JsonLines,
    /// A Markdown table.
    Markdown,
}

/// Writes all rows.
///
/// # Errors
/// A writer that fails, a type that the format cannot hold.
pub(crate) fn write(out: &mut impl Write, batches: &[RecordBatch], format: Format) -> Result<()> {
    let engine = |e| Error::internal("cannot format the result").caused_by(e);
    match format {
        Format::Table => {
            let shown = batches.iter().map(as_shown).collect::<Result<Vec<_>>>()?;
            let text = pretty_format_batches(&shown).map_err(engine)?;
            writeln!(out, "{text}").map_err(output_error)
        }
        Format::Csv => {
            batches.iter().try_for_each(|batch| check_csv(&batch.schema()))?;
            let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(out);
            batches.iter().try_for_each(|batch| writer.write(batch)).map_err(engine)
        }
        Format::Json => {
            let mut writer = arrow::json::WriterBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, arrow::json::writer::JsonArray>(&mut *out);
            batches.iter().try_for_each(|batch| writer.write(batch)).map_err(engine)?;
            writer.finish().map_err(engine)?;
            writeln!(out).map_err(output_error)
        }
        Format::JsonLines => {
            let mut writer = arrow::json::WriterBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, arrow::json::writer::LineDelimited>(out);
            batches.iter().try_for_each(|batch| writer.write(batch)).map_err(engine)?;
            writer.finish().map_err(engine)
        }
        Format::Markdown => write_markdown(out, batches),
    }
}

/// Refuses columns that CSV cannot hold.
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

/// The values of each column as people read them, which may hold any character.
fn columns_as_text(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let failed = |e| Error::internal("cannot format the result").caused_by(e);
    let options = FormatOptions::default();
    let column = |column: &ArrayRef| {
        let formatter = ArrayFormatter::try_new(column, &options).map_err(failed)?;
        (0..column.len()).map(|row| formatter.value(row).try_to_string().map_err(failed)).collect()
    };
    batch.columns().iter().map(column).collect()
}

/// The batch with every value and name as text that is safe for a terminal and takes one line.
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

/// A size for people, in decimal units as storage is sold and billed.
pub(crate) fn bytes(size: u64) -> String {
    indicatif::DecimalBytes(size).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
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
