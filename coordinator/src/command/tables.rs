//! `tables`: what the tables of one version hold.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use futures::StreamExt;
use lakewright_common::config::resolved::Config;
use lakewright_common::engine_failure::stage_error;
use lakewright_common::error::{Error, Result};

use super::print;
use super::query::View;
use crate::lake::consistent;
use crate::lake::manifest::TableState;
use crate::output::{self, Format};

/// Prints a row per table.
///
/// # Errors
/// Storage, or a lake without that version.
pub(super) async fn tables(config: &Config, checksum: bool, version: Option<u64>, format: Format) -> Result<()> {
    let view = View::open(config, version).await?;
    let states = &view.manifest.tables;
    let published = consistent::at(&view.lake, view.manifest.number).await?;
    let delta = states.iter().map(|table| published.as_ref().and_then(|at| at.version(&table.name)));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("table", Arc::new(StringArray::from_iter_values(states.iter().map(|table| table.name.as_str())))),
        ("rows", Arc::new(UInt64Array::from_iter_values(states.iter().map(TableState::rows)))),
        ("files", Arc::new(UInt64Array::from_iter_values(states.iter().map(|table| table.files.len() as u64)))),
        ("bytes", Arc::new(UInt64Array::from_iter_values(states.iter().map(TableState::bytes)))),
        ("delta_version", Arc::new(UInt64Array::from_iter(delta))),
    ];
    if checksum {
        let mut sums = Vec::new();
        for table in states {
            sums.push(table_checksum(&view, table).await?);
        }
        columns.push(("checksum", Arc::new(StringArray::from_iter_values(sums))));
    }
    let batch = RecordBatch::try_from_iter(columns).map_err(|e| Error::internal("cannot list tables").caused_by(e))?;
    let mut text = Vec::new();
    output::write(&mut text, &[batch], format)?;
    print(&text)
}

/// The sum, modulo 2^64, of a hash of each row: 16 hex digits that do not depend on the rows' order, on files or on
/// partitions. A row is hashed (MD5, its first 8 bytes) as the text of its values, so the sum is the same on every machine.
async fn table_checksum(view: &View, table: &TableState) -> Result<String> {
    let values: Vec<String> = table
        .columns
        .list
        .iter()
        .map(|column| {
            let name = column.name.replace('"', "\"\"");
            // A length before each value, and a mark for null: no two rows have one text.
            format!(
                "coalesce(concat(character_length(CAST(\"{name}\" AS VARCHAR)), ':', CAST(\"{name}\" AS VARCHAR)), 'null')"
            )
        })
        .collect();
    let sql = format!(
        "SELECT arrow_cast(digest(concat({}), 'md5'), 'Binary') AS digest FROM \"{}\"",
        values.join(", ',', "),
        table.name
    );
    let mut sum = 0_u64;
    let mut rows = view.stream(&sql).await?;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|e| Error::from_engine(e, stage_error))?;
        for digest in batch.column(0).as_binary::<i32>().iter().flatten() {
            let mut first = [0; 8];
            first.copy_from_slice(&digest[..8]);
            sum = sum.wrapping_add(u64::from_be_bytes(first));
        }
    }
    Ok(format!("{sum:016x}"))
}
