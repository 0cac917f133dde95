//! `check --deep`: reads every file that one version of the lake names, and reports which files are
//! damaged and how to restore them.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};
use lakewright_common::process::telemetry;

use super::print::{print, print_columns};
use crate::lake::verify::{self, Fault, Verified};
use crate::lake::{manifest::Manifest, manifest_store};
use crate::open::lake_or_empty;
use crate::output::{Format, bytes};
use crate::view::{no_such_version, nothing_committed};

/// Verifies the newest version, or the given one, and prints each object that is damaged or
/// missing.
///
/// # Errors
/// A storage error if anything is damaged or missing. A configuration error if the version does not
/// exist.
pub(super) async fn check_deep(config: &Config, version: Option<u64>, format: Format, quiet: bool) -> Result<()> {
    let lake = lake_or_empty(config).await?;
    let Some(newest) = manifest_store::latest_number(&lake).await? else {
        return Err(nothing_committed(config, &lake).await);
    };
    let version = version.unwrap_or(newest);
    let manifest = manifest_store::get(&lake, version).await?.ok_or_else(|| no_such_version(version, newest))?;
    let mut verified = verify::verify(&lake, &manifest).await?;
    // Keys are relative to the lake. Users need the whole URL.
    for fault in &mut verified.faults {
        fault.key = lake.name_of(&fault.key);
    }
    let summary = summary(config, &manifest, &verified);
    // For people, print the faults and the summary together.
    if format == Format::Table {
        print(format!("{}{summary}", lines(&verified.faults)).as_bytes())?;
    } else {
        // Programs read standard output, so it has only rows. The summary is on standard error.
        print_columns(columns(&verified.faults), format)?;
        if !quiet {
            telemetry::conclude(summary.trim_end());
        }
    }
    // The faults are printed above, because the error only counts them.
    if verified.faults.is_empty() {
        return Ok(());
    }
    Err(Error::storage_failure(format!(
        "{} of {} objects of version {version} are damaged or missing",
        verified.faults.len(),
        verified.objects
    ))
    .hint("standard output names each of them with what restores it; `check --deep --version N` verifies an older version"))
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{} {}\n  to restore: {}\n", fault.key, fault.what, fault.restore)).collect()
}

fn columns(faults: &[Fault]) -> Vec<(&'static str, ArrayRef)> {
    let text =
        |value: fn(&Fault) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(faults.iter().map(value))) };
    vec![
        ("object", text(|fault| &fault.key)),
        ("damage", text(|fault| &fault.what)),
        ("restore", text(|fault| &fault.restore)),
    ]
}

fn summary(config: &Config, manifest: &Manifest, verified: &Verified) -> String {
    let mut text = format!(
        "version {} of the lake {}: {} objects, {}, {} of them damaged or missing\n",
        manifest.version,
        config.lake,
        verified.objects,
        bytes(verified.bytes),
        verified.faults.len()
    );
    if verified.without_digest > 0 {
        let _ = writeln!(
            text,
            "{} of them were written by a version without digests: only their sizes were compared",
            verified.without_digest
        );
    }
    text
}
