//! `vacuum`: what no version that is kept needs any more, listed, and deleted if so asked.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};
use lakewright_common::printable;
use lakewright_common::storage::Storage;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::print;
use crate::lake::garbage;
use crate::open::lake_or_empty;
use crate::output::bytes;

/// A run that takes longer than the retention could lose files that it has not committed yet.
const LEAST_RETENTION: Duration = Duration::from_hours(24);
/// Deletions under way at once.
const CONCURRENT_DELETES: usize = 16;

/// Lists files and unfinished uploads older than `retention` that nothing needs; deletes them if `delete`.
///
/// # Errors
/// Configuration for a retention that is too short; storage.
pub(super) async fn vacuum(config: &Config, retention: Duration, delete: bool) -> Result<()> {
    if retention < LEAST_RETENTION {
        return Err(Error::configuration("`--retention` must be at least 24h")
            .hint("a run that is under way may have files of that age"));
    }
    let since = TimeDelta::from_std(retention).ok().and_then(|retention| Utc::now().checked_sub_signed(retention));
    let since = since.ok_or_else(|| Error::configuration("`--retention` is longer than there has been time"))?;
    let lake = lake_or_empty(config).await?;
    let files = garbage::find(&lake, since).await?;
    let uploads = match &lake.s3 {
        Some(s3) => s3.unfinished_uploads(since.timestamp()).await?,
        None => vec![],
    };
    let mut text = String::new();
    for file in &files {
        let name = printable::line(file.location.as_ref());
        let _ = writeln!(text, "{}  {:>12}  {name}", moment(file.last_modified), bytes(file.size));
    }
    for upload in &uploads {
        let _ = writeln!(text, "unfinished upload  {}", printable::line(&upload.key));
    }
    if delete {
        delete_files(&lake, &files).await?;
        if let Some(s3) = &lake.s3 {
            for upload in &uploads {
                s3.abort(upload).await?;
            }
        }
    }
    let size = bytes(files.iter().map(|file| file.size).sum());
    let (files, uploads) = (files.len(), uploads.len());
    let done = if delete { "deleted" } else { "would be deleted; `--delete` does it" };
    let _ = writeln!(text, "{files} files of {size} and {uploads} unfinished uploads {done}");
    print(text.as_bytes())
}

fn moment(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

async fn delete_files(lake: &Storage, files: &[ObjectMeta]) -> Result<()> {
    let keys: Vec<_> = files.iter().map(|file| file.location.clone()).collect();
    let deletions = keys.into_iter().map(|key| async move {
        match lake.store.delete(&key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(Error::storage("delete", format!("{}{key}", lake.root), e)),
        }
    });
    stream::iter(deletions).buffer_unordered(CONCURRENT_DELETES).try_collect().await
}
