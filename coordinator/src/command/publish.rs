//! `publish`: the Delta logs brought up to the newest version, or made equal to it whatever they hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Kind, Result};
use lakewright_common::storage::Storage;

use super::print;
use crate::lake::publish::delta::overwrite::{Overwritten, overwrite};
use crate::lake::publish::delta::standing::joined;
use crate::lake::{publish, store};
use crate::open::lake_or_empty;

/// Brings the logs of `tables` (all of them if none is named) up to the newest version of the lake; with `is_overwrite`
/// also those that another program changed, or that are of another history.
///
/// # Errors
/// Configuration, naming each table that cannot be published; storage.
pub(super) async fn publish(config: &Config, tables: &[String], is_overwrite: bool) -> Result<()> {
    let lake = lake_or_empty(config).await?;
    let manifest = store::latest(&lake).await?.ok_or_else(|| {
        Error::configuration(format!("there is nothing in the lake `{}` yet", config.lake))
            .hint("run `coordinator run` first")
    })?;
    let known: Vec<&str> = manifest.tables.iter().map(|table| table.name.as_str()).collect();
    if let Some(unknown) = tables.iter().find(|table| !known.contains(&table.as_str())) {
        return Err(Error::configuration(format!("version {} of the lake has no table `{unknown}`", manifest.version))
            .hint(format!("its tables are `{}`", known.join("`, `"))));
    }
    let named =
        known.iter().map(|table| (*table).to_owned()).filter(|table| tables.is_empty() || tables.contains(table));
    let named: Vec<String> = named.collect();
    let failures = if is_overwrite { overwrite_all(&lake, &named).await? } else { roll_all(&lake, &named).await? };
    if failures.is_empty() { Ok(()) } else { Err(joined(failures)) }
}

/// Makes each log equal to the newest version, then publishes the versions that belong together.
async fn overwrite_all(lake: &Storage, tables: &[String]) -> Result<Vec<Error>> {
    let mut failures = Vec::new();
    for table in tables {
        match overwrite(lake, table).await {
            // As they are done, so that it is known how far it came.
            Ok((manifest, overwritten)) => print(line(table, manifest.version, &overwritten).as_bytes())?,
            Err(error) if error.kind == Kind::Configuration || error.hint.is_some() => failures.push(error),
            Err(error) => return Err(error),
        }
    }
    let Some(manifest) = store::latest(lake).await? else { return Ok(failures) };
    publish::publish(lake, &manifest).await?;
    Ok(failures)
}

/// Rolls every log forward; the failures are those of the named tables.
async fn roll_all(lake: &Storage, tables: &[String]) -> Result<Vec<Error>> {
    let Some(manifest) = store::latest(lake).await? else { return Ok(vec![]) };
    let rolled = publish::publish(lake, &manifest).await?;
    let failures: BTreeMap<String, Error> = rolled.failures.into_iter().collect();
    for table in tables {
        if let Some(version) = rolled.versions.get(table) {
            print(format!("{table}  delta version {version}, version {} of the lake\n", manifest.version).as_bytes())?;
        }
    }
    Ok(failures.into_iter().filter(|(table, _)| tables.contains(table)).map(|(_, error)| error).collect())
}

fn line(table: &str, manifest: u64, overwritten: &Overwritten) -> String {
    let mut line = format!("{table}  delta version {}, version {manifest} of the lake", overwritten.version);
    match &overwritten.correction {
        None => line.push_str("; nothing to overwrite"),
        Some(correction) => {
            let _ = write!(line, "; {} files removed, {} added", correction.removed, correction.added);
            if correction.is_metadata_restored {
                line.push_str(", metadata restored");
            }
        }
    }
    if let Some((reader, writer)) = overwritten.protocol {
        let _ = write!(
            line,
            "; its log keeps the protocol of another program (reader {reader}, writer {writer}), which cannot be taken back"
        );
    }
    line.push('\n');
    line
}
