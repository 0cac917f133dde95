//! `vacuum`: what no version that is kept needs any more, listed, and deleted if so requests.

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
use crate::lake::{LakePath, garbage};
use crate::open::lake_or_empty;
use crate::output::bytes;

/// A run that takes longer than the retention could lose files that it has not committed yet.
const LEAST_RETENTION: Duration = Duration::from_hours(24);
/// Between this machine's clock and the storage's.
const MAX_CLOCK_DIFFERENCE: TimeDelta = TimeDelta::hours(1);
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
    let lake = lake_or_empty(config).await?;
    let now = common_time(&lake, delete).await?;
    let since = TimeDelta::from_std(retention).ok().and_then(|retention| now.checked_sub_signed(retention));
    let since = since.ok_or_else(|| Error::configuration("`--retention` is longer than there has been time"))?;
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

/// The storage's time, by which the age of objects is told, if this machine's clock agrees with it.
///
/// # Errors
/// Configuration, naming both times; storage, where the storage's time cannot be found out before a deletion.
async fn common_time(lake: &Storage, delete: bool) -> Result<DateTime<Utc>> {
    let theirs = match lake.clock(LakePath::Lake.key().as_ref()).await {
        Ok(theirs) => theirs,
        Err(error) if delete => {
            return Err(error.hint("nothing was deleted: `vacuum` compares its clock with the storage's first"));
        }
        // Who may not write may list all the same.
        Err(error) => {
            tracing::debug!(%error, "the clock of the storage is not known");
            return Ok(Utc::now());
        }
    };
    let ours = Utc::now();
    if is_same_time(ours, theirs) {
        return Ok(theirs);
    }
    Err(Error::configuration(format!(
        "this machine's clock says {} and the storage's {}: the age of files cannot be told",
        moment(ours),
        moment(theirs)
    ))
    .hint("nothing was deleted; set the clock (`timedatectl`, NTP) and run `vacuum` again"))
}

fn is_same_time(ours: DateTime<Utc>, theirs: DateTime<Utc>) -> bool {
    (ours - theirs).abs() <= MAX_CLOCK_DIFFERENCE
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::lake::fixture;

    #[tokio::test]
    async fn a_clock_may_be_off_by_an_hour_from_that_of_the_storage() {
        let (folder, lake) = fixture::lake();
        let now = Utc::now();
        for (minutes, is_same) in [(0, true), (59, true), (-60, true), (61, false), (-61, false), (60 * 24 * 31, false)]
        {
            assert_eq!(is_same_time(now + TimeDelta::minutes(minutes), now), is_same, "{minutes}");
        }
        common_time(&lake, true).await.unwrap();
        let left = std::fs::read_dir(folder.path().join("_lake")).unwrap().count();
        assert_eq!(left, 0, "the object by which the storage's time was found out is left");
    }
}
