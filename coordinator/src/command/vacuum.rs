//! `vacuum`: lists the files that no kept version needs any more, and deletes them with `--delete`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, BooleanArray, StringArray, TimestampMicrosecondArray, UInt64Array};
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};
use lakewright_common::printable;
use lakewright_common::storage::Storage;
use lakewright_common::storage::s3::uploads::Upload;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::print::{print, print_columns};
use crate::lake::{LakePath, garbage};
use crate::open::lake_or_empty;
use crate::output::{Format, bytes};

/// Minimum retention. A run that takes longer than the retention could lose files that it has not
/// committed yet.
const LEAST_RETENTION: Duration = Duration::from_hours(24);
/// Maximum difference between the clock of this machine and that of the storage.
const MAX_CLOCK_DIFFERENCE: TimeDelta = TimeDelta::hours(1);
/// Maximum number of concurrent deletions.
const CONCURRENT_DELETES: usize = 16;

/// Lists files that are older than `retention` and that no kept version needs. Also lists
/// unfinished uploads that are older. With `delete`, deletes all of these.
///
/// # Errors
/// A configuration error for a retention that is too short. A storage error.
pub(super) async fn vacuum(config: &Config, retention: Duration, delete: bool, format: Format) -> Result<()> {
    if retention < LEAST_RETENTION {
        return Err(Error::configuration("`--retention` must be at least 24h")
            .hint("a run in progress may have files of that age"));
    }
    let lake = lake_or_empty(config).await?;
    // Ages are computed with the storage's time, because its clock stamps the objects.
    let now = common_time(&lake, delete).await?;
    let since = TimeDelta::from_std(retention).ok().and_then(|retention| now.checked_sub_signed(retention));
    let since = since
        .ok_or_else(|| Error::configuration("`--retention` is too long: the time before it cannot be represented"))?;
    // Find everything before deleting anything: a failure here deletes nothing.
    let files = garbage::find(&lake, since).await?;
    let uploads = match &lake.s3 {
        // Only S3 keeps the parts of an upload that was never completed, and bills them.
        Some(s3) => s3.unfinished_uploads(since.timestamp()).await?,
        None => vec![],
    };
    if delete {
        // If this fails, unfinished uploads stay, and the next `vacuum` finds them again.
        delete_files(&lake, &files).await?;
        if let Some(s3) = &lake.s3 {
            for upload in &uploads {
                s3.abort(upload).await?;
            }
        }
    }
    if format == Format::Table {
        print(text(&files, &uploads, delete).as_bytes())
    } else {
        print_columns(columns(&files, &uploads, delete), format)
    }
}

/// Returns a text with one line per file or upload, and the totals in the last line.
fn text(files: &[ObjectMeta], uploads: &[Upload], is_deleted: bool) -> String {
    let mut text = String::new();
    for file in files {
        let name = printable::line(file.location.as_ref());
        let _ = writeln!(text, "{}  {:>12}  {name}", moment(file.last_modified), bytes(file.size));
    }
    for upload in uploads {
        let _ = writeln!(text, "unfinished upload  {}", printable::line(&upload.key));
    }
    let size = bytes(files.iter().map(|file| file.size).sum());
    let (files, uploads) = (files.len(), uploads.len());
    let done = if is_deleted { "deleted" } else { "would be deleted; `--delete` does it" };
    let _ = writeln!(text, "{files} files of {size} and {uploads} unfinished uploads {done}");
    text
}

/// Returns the names and values of columns with one row per file or upload. The time and size of an
/// unfinished upload are null.
fn columns(files: &[ObjectMeta], uploads: &[Upload], is_deleted: bool) -> Vec<(&'static str, ArrayRef)> {
    let rows = files.len() + uploads.len();
    let kinds = files.iter().map(|_| "file").chain(uploads.iter().map(|_| "unfinished upload"));
    let keys = files.iter().map(|file| file.location.as_ref()).chain(uploads.iter().map(|upload| upload.key.as_str()));
    let none = std::iter::repeat_n(None, uploads.len());
    let times = files.iter().map(|file| Some(file.last_modified.timestamp_micros())).chain(none);
    let sizes = files.iter().map(|file| Some(file.size)).chain(std::iter::repeat_n(None, uploads.len()));
    vec![
        ("kind", Arc::new(StringArray::from_iter_values(kinds))),
        ("key", Arc::new(StringArray::from_iter_values(keys))),
        ("last_modified", Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC"))),
        ("bytes", Arc::new(UInt64Array::from_iter(sizes))),
        ("deleted", Arc::new(BooleanArray::from(vec![is_deleted; rows]))),
    ]
}

/// Returns the current time of the storage's clock, because that clock stamps the objects. Fails if
/// this machine's clock differs by more than [`MAX_CLOCK_DIFFERENCE`]. If the storage's clock
/// cannot be read and nothing will be deleted, returns this machine's time.
///
/// # Errors
/// A configuration error that names both times. With `delete`, a storage error if the storage's
/// clock cannot be read.
async fn common_time(lake: &Storage, delete: bool) -> Result<DateTime<Utc>> {
    let theirs = match lake.clock(LakePath::Lake.key().as_ref()).await {
        Ok(theirs) => theirs,
        Err(error) if delete => {
            return Err(error.hint("nothing was deleted: `vacuum` compares its clock with the storage's first"));
        }
        // Without `--delete`, use this machine's clock instead. Reading the clock of a folder
        // writes an object, and a user who may not write must still be able to list.
        Err(error) => {
            tracing::debug!(%error, "cannot read the storage's clock");
            return Ok(Utc::now());
        }
    };
    let ours = Utc::now();
    if is_same_time(ours, theirs) {
        return Ok(theirs);
    }
    Err(Error::configuration(format!(
        "this machine's clock says {} and the storage's {}: the age of files is not known",
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
            // Another `vacuum` may have deleted the file first.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(Error::storage("delete", format!("{}{key}", lake.root), e)),
        }
    });
    stream::iter(deletions).buffer_unordered(CONCURRENT_DELETES).try_collect().await
}

#[cfg(test)]
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
