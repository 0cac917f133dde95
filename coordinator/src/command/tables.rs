//! `tables`: what the tables of one version hold.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Context, Error, Result};

use super::checksum::table_checksum;
use super::print;
use super::query::View;
use crate::lake::manifest::TableState;
use crate::lake::publish::consistent;
use crate::output::{self, Format};

/// Prints a row per table.
///
/// # Errors
/// Storage, or a lake without that version.
pub(super) async fn tables(config: &Config, checksum: bool, version: Option<u64>, format: Format) -> Result<()> {
    let view = View::open(config, version).await?;
    let states = &view.manifest.tables;
    let published = consistent::at(&view.lake, &view.manifest).await?;
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
    let batch = RecordBatch::try_from_iter(columns).context(|| Error::internal("cannot list tables"))?;
    let mut text = Vec::new();
    output::write(&mut text, &[batch], format)?;
    print(&text)
}
