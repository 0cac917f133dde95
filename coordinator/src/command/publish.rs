//! `publish`: brings the Delta logs up to the newest version. With `--overwrite`, makes the logs
//! equal to that version, even if other programs changed them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringArray, UInt64Array};
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};
use lakewright_common::storage::Storage;

use super::print::{print, print_columns};
use crate::lake::publish::{Correction, Overwritten};
use crate::lake::{manifest_store, publish};
use crate::open::lake_or_empty;
use crate::output::Format;
use crate::view::nothing_committed;

/// A table that was published.
struct PublishedTable {
    name: String,
    /// Version of the lake that the table's Delta log has reached.
    version: u64,
    delta_version: u64,
    /// Result of the overwrite; `None` without `--overwrite`.
    overwritten: Option<Overwritten>,
}

/// Brings the Delta logs of `tables` up to the newest version of the lake. If `tables` is empty,
/// does this for all tables. With `is_overwrite`, also overwrites logs that another program
/// changed, and logs that belong to manifests that are lost or replaced.
///
/// # Errors
/// A configuration error that names each table that cannot be published. A storage error.
pub(super) async fn publish(config: &Config, tables: &[String], is_overwrite: bool, format: Format) -> Result<()> {
    let lake = lake_or_empty(config).await?;
    let Some(manifest) = manifest_store::latest(&lake).await? else {
        return Err(nothing_committed(config, &lake).await);
    };
    // Tables of the manifest, and not of the configuration: a model may be removed while its table
    // still has a log.
    let known: Vec<&str> = manifest.tables.iter().map(|table| table.name.as_str()).collect();
    if let Some(unknown) = tables.iter().find(|table| !known.contains(&table.as_str())) {
        return Err(Error::configuration(format!("version {} of the lake has no table `{unknown}`", manifest.version))
            .hint(format!("its tables are `{}`", known.join("`, `"))));
    }
    // Keep the order of the manifest, and publish each table once even if an argument is repeated.
    let named =
        known.iter().map(|table| (*table).to_owned()).filter(|table| tables.is_empty() || tables.contains(table));
    let named: Vec<String> = named.collect();
    let (published, failures) =
        if is_overwrite { overwrite_all(&lake, &named).await? } else { roll_all(&lake, &named).await? };
    // Print before failing, to show which tables are done.
    if format == Format::Table {
        print(published.iter().map(line).collect::<String>().as_bytes())?;
    } else {
        print_columns(columns(&published), format)?;
    }
    Error::join(failures).map_or(Ok(()), Err)
}

/// Makes the Delta log of each table in `tables` equal to the newest version of the lake. Then
/// writes the consistent document, which names the Delta versions of all tables. Returns the tables
/// that were published, and the failures.
async fn overwrite_all(lake: &Storage, tables: &[String]) -> Result<(Vec<PublishedTable>, Vec<Error>)> {
    let (mut published, mut failures) = (Vec::new(), Vec::new());
    for table in tables {
        // A failure must not prevent the repair of the next table.
        match publish::overwrite(lake, table).await {
            Ok((manifest, overwritten)) => published.push(PublishedTable {
                name: table.clone(),
                version: manifest.version,
                delta_version: overwritten.version,
                overwritten: Some(overwritten),
            }),
            Err(error) => failures.push(error),
        }
    }
    // Another run may have committed in the meantime, so read the newest manifest again.
    if let Some(manifest) = manifest_store::latest(lake).await? {
        let others = publish::publish(lake, &manifest).await.failures;
        for failure in others {
            match failure.table {
                // The error of an overwrite that failed was added above.
                Some(table) if tables.contains(&table) => {
                    if published.iter().any(|published| published.name == table) {
                        failures.push(failure.error);
                    }
                }
                Some(table) => {
                    tracing::warn!(table, error = %failure.error, "the Delta log of another table is not published");
                }
                // A failure without a table concerns the consistent document, and fails this
                // command.
                None => failures.push(failure.error),
            }
        }
    }
    Ok((published, failures))
}

/// Brings the Delta logs of all tables up to the newest version of the lake. For `tables`, returns
/// the tables that were published, and the failures of the rest.
async fn roll_all(lake: &Storage, tables: &[String]) -> Result<(Vec<PublishedTable>, Vec<Error>)> {
    let Some(manifest) = manifest_store::latest(lake).await? else { return Ok((vec![], vec![])) };
    let rolled = publish::publish(lake, &manifest).await;
    let versions: BTreeMap<String, u64> = rolled.versions;
    let published = tables.iter().filter_map(|table| {
        // A table without a version failed, and is among the failures.
        let delta_version = *versions.get(table)?;
        Some(PublishedTable { name: table.clone(), version: manifest.version, delta_version, overwritten: None })
    });
    // A failure without a table concerns the consistent document, and thus every table.
    let is_named = |table: Option<&String>| table.is_none_or(|table| tables.contains(table));
    let failures = rolled.failures.into_iter().filter(|failure| is_named(failure.table.as_ref()));
    Ok((published.collect(), failures.map(|failure| failure.error).collect()))
}

fn line(table: &PublishedTable) -> String {
    let mut line =
        format!("{}  delta version {}, version {} of the lake", table.name, table.delta_version, table.version);
    let Some(overwritten) = &table.overwritten else { return line + "\n" };
    match &overwritten.correction {
        None => line.push_str("; nothing to overwrite"),
        Some(Correction { removed, added, described, is_metadata_restored }) => {
            let _ = write!(line, "; {removed} files removed, {added} added, {described} described anew");
            if *is_metadata_restored {
                line.push_str(", metadata restored");
            }
        }
    }
    if overwritten.withdrawn > 0 {
        let _ = write!(
            line,
            "; {} damaged or missing log entries are not published any more: their Delta versions show other rows than the lake",
            overwritten.withdrawn
        );
    }
    if let Some((reader, writer)) = overwritten.protocol {
        let _ = write!(
            line,
            "; its log keeps the protocol of another program (reader {reader}, writer {writer}), which cannot be lowered"
        );
    }
    line.push('\n');
    line
}

fn columns(tables: &[PublishedTable]) -> Vec<(&'static str, ArrayRef)> {
    let number = |value: &dyn Fn(&PublishedTable) -> Option<u64>| -> ArrayRef {
        Arc::new(UInt64Array::from_iter(tables.iter().map(value)))
    };
    let corrected = |value: fn(&Correction) -> usize| {
        // Null without `--overwrite`, and 0 if the log needed no correction.
        number(&move |table| {
            let overwritten = table.overwritten.as_ref()?;
            Some(overwritten.correction.as_ref().map_or(0, |correction| value(correction) as u64))
        })
    };
    let is_restored = tables.iter().map(|table| {
        let overwritten = table.overwritten.as_ref()?;
        Some(overwritten.correction.as_ref().is_some_and(|correction| correction.is_metadata_restored))
    });
    vec![
        ("table", Arc::new(StringArray::from_iter_values(tables.iter().map(|table| &table.name)))),
        ("version", number(&|table| Some(table.version))),
        ("delta_version", number(&|table| Some(table.delta_version))),
        ("removed", corrected(|correction| correction.removed)),
        ("added", corrected(|correction| correction.added)),
        ("described", corrected(|correction| correction.described)),
        ("metadata_restored", Arc::new(BooleanArray::from_iter(is_restored))),
        ("withdrawn", number(&|table| table.overwritten.as_ref().map(|overwritten| overwritten.withdrawn as u64))),
    ]
}
