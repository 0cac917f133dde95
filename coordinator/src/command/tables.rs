//! `tables`: lists the tables of one version.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, UInt64Array};
use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;

use super::checksum::table_checksum;
use super::print::print_columns;
use crate::lake::manifest::TableState;
use crate::lake::publish;
use crate::output::Format;
use crate::view::View;

/// Prints one row per table.
///
/// # Errors
/// A storage error. A configuration error for a version that does not exist.
pub(super) async fn tables(config: &Config, checksum: bool, version: Option<u64>, format: Format) -> Result<()> {
    let view = View::open(config, version).await?;
    let states = &view.manifest.tables;
    // A table whose Delta log has not reached this version of the lake is not in `versions`.
    let versions = publish::versions_at(&view.lake, &view.manifest).await?;
    let delta = states.iter().map(|table| versions.get(&table.name).copied());
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("table", Arc::new(StringArray::from_iter_values(states.iter().map(|table| table.name.as_str())))),
        ("rows", Arc::new(UInt64Array::from_iter_values(states.iter().map(TableState::rows)))),
        ("files", Arc::new(UInt64Array::from_iter_values(states.iter().map(|table| table.files.len() as u64)))),
        ("bytes", Arc::new(UInt64Array::from_iter_values(states.iter().map(TableState::bytes)))),
        ("delta_version", Arc::new(UInt64Array::from_iter(delta))),
    ];
    if checksum {
        // One table at a time: each query uses all threads already.
        let mut sums = Vec::new();
        for table in states {
            sums.push(table_checksum(&view, table).await?);
        }
        columns.push(("checksum", Arc::new(StringArray::from_iter_values(sums))));
    }
    print_columns(columns, format)
}
