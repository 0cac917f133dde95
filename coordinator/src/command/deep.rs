//! `check --deep`: reads all that a version of the lake names, and says what is damaged and what restores it.

use std::fmt::Write as _;

use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};

use super::print;
use super::query::no_such_version;
use crate::lake::{store, verify};
use crate::open::lake_or_empty;
use crate::output::bytes;

/// Verifies the newest version, or the one requests for; prints each damaged or missing object.
///
/// # Errors
/// Storage, if anything is damaged or missing; configuration, if there is no such version.
pub(super) async fn check_deep(config: &Config, version: Option<u64>) -> Result<()> {
    let lake = lake_or_empty(config).await?;
    let newest = store::latest_number(&lake).await?;
    let version = version.or(newest).ok_or_else(|| {
        Error::configuration(format!("there is nothing in the lake `{}` yet", config.lake))
            .hint("run `coordinator run` first")
    })?;
    let manifest = store::get(&lake, version).await?;
    let manifest = manifest.ok_or_else(|| no_such_version(version, newest.unwrap_or_default()))?;
    let verified = verify::verify(&lake, &manifest).await?;
    let mut text = String::new();
    for fault in &verified.faults {
        let _ = writeln!(text, "{} {}\n  to restore: {}", lake.name_of(&fault.key), fault.what, fault.restore);
    }
    let _ = writeln!(
        text,
        "version {version} of the lake {}: {} objects, {}, {} of them damaged or missing",
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
    print(text.as_bytes())?;
    if verified.faults.is_empty() {
        return Ok(());
    }
    Err(Error::storage_failure(format!(
        "{} of {} objects of version {version} are damaged or missing",
        verified.faults.len(),
        verified.objects
    ))
    .hint("standard output names each with what restores it; `check --deep --version N` says whether an older version is whole"))
}
