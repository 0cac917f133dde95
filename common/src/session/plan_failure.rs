//! Classifies failures of running queries by what the user can do about them.
//!
//! DataFusion wraps a failure differently on each code path, and converts some failures to text.
//! The innermost known cause decides: memory, the operating system, a store, a damaged file. All
//! other failures are faults of the data.

use std::error::Error as StdError;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use object_store::Error as StoreError;
use parquet::errors::ParquetError;

use crate::error::{Error, os_hint};
use crate::printable;
use crate::process::scratch;
use crate::storage::verified::{DAMAGED, STORE_NAME};

/// Start of DataFusion's message if it cannot read the metadata of a file. The rest of the message
/// is the key of the file and the cause.
const METADATA_OF: &str = "Failed to fetch metadata for file ";
/// Start of Arrow's message for an error of the Parquet reader that was converted to text.
const PARQUET_READER: &str = "Parquet argument error: ";
const MORE_MEMORY: &str = "raise `[limits] memory` (of a worker: --memory), or run fewer tasks at once (`[limits] threads`, --vcores); sorts \
                           and most aggregations spill to disk, but not every join and aggregation can";
const MORE_SCRATCH: &str = "queries spill there: free space on that disk, set another folder (`[limits] scratch`, of a worker: --scratch), or \
                            raise `[limits] memory` (--memory)";

/// Whether Parquet's reader has panicked. On some damaged files, it panics instead of returning an
/// error.
static READER_PANICKED: AtomicBool = AtomicBool::new(false);

/// Installs a panic hook that records whether Parquet's reader panicked, for [`panic_error`], and
/// then calls the previous hook.
pub fn watch_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.location().is_some_and(|location| is_in_reader(location.file())) {
            READER_PANICKED.store(true, Ordering::Relaxed);
        }
        report(panic);
    }));
}

/// Whether a Rust source file is part of the `parquet` crate, but not of its writer.
fn is_in_reader(file: &str) -> bool {
    file.contains("/parquet-") && !file.contains("writer")
}

/// Classifies a panic of a task: a damaged file if Parquet's reader panicked, otherwise a bug.
pub fn panic_error(panic: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    if READER_PANICKED.load(Ordering::Relaxed) {
        return Error::storage_failure("a file of the lake is damaged, so that Parquet's reader panicked")
            .caused_by(panic)
            .hint(DAMAGED);
    }
    Error::internal("a task panicked").caused_by(panic)
}

/// Cause of a failed task or query.
enum Cause {
    /// A damaged file of the lake, with its key if that is known.
    Damage(Option<String>),
    /// An error of a store, with its message.
    Store(String),
    /// A failure of the folder that queries spill to.
    Scratch,
    /// A fault of values in the rows, such as a text that cannot be cast to a number.
    Rows,
}

/// Classifies a failure of a running plan. If an [`Error`] of this crate may be inside `error`, the
/// caller must extract it first, as `engine_context` does.
#[must_use]
pub fn stage_error(error: DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(text) if text.contains("disk space") => return scratch_error(error),
        DataFusionError::ResourcesExhausted(_) => {
            return Error::configuration("a query needs more memory than `[limits] memory` allows")
                .hint(MORE_MEMORY)
                .caused_by(error);
        }
        DataFusionError::Internal(_) => return Error::internal("the query engine failed").caused_by(error),
        _ => {}
    }
    match cause(&error) {
        Cause::Damage(key) => {
            let file = key.map_or_else(|| "a file of the lake".to_owned(), |key| format!("`{key}`"));
            Error::storage_failure(format!("{file} is damaged")).caused_by(error.strip_backtrace()).hint(DAMAGED)
        }
        Cause::Store(text) => {
            let hint = os_hint(&*Box::<dyn StdError + Send + Sync>::from(text.clone())).unwrap_or(DAMAGED);
            Error::storage_failure(text).hint(hint)
        }
        Cause::Scratch => scratch_error(error),
        // The message may contain values of rows, so escape it.
        Cause::Rows => {
            let text = printable::line(&error.to_string()).into_owned();
            Error::data("a query failed on its data").caused_by(text)
        }
    }
}

fn scratch_error(error: DataFusionError) -> Error {
    let folder = scratch::parent().map_or_else(String::new, |folder| format!(" `{}`", folder.display()));
    let is_full = matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) || is_disk_full(&error);
    let hint =
        if is_full { MORE_SCRATCH } else { os_hint(&error).unwrap_or("check that this process may write there") };
    Error::storage_failure(format!("cannot use the scratch folder{folder}")).caused_by(error).hint(hint)
}

fn is_disk_full(error: &(dyn StdError + 'static)) -> bool {
    matches!(crate::error::os_error(error), Some(libc::ENOSPC | libc::EDQUOT))
}

fn cause(error: &DataFusionError) -> Cause {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    // Whether an error of the Parquet reader was found. It may wrap a damaged file, an error of a
    // store, or a failed computation on rows.
    let mut is_reading = false;
    while let Some(cause) = next {
        if let Some(store) = cause.downcast_ref::<StoreError>() {
            return Cause::Store(format!("cannot use the lake: {store}"));
        }
        if let Some(parquet) = parquet_error(cause) {
            is_reading = true;
            match parquet {
                ParquetError::External(_) => {}
                ParquetError::ArrowError(text) if !text.starts_with(PARQUET_READER) => return Cause::Rows,
                other => return of_metadata(&other.to_string()).unwrap_or(Cause::Damage(None)),
            }
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            // A failed decompression is an I/O error without an OS error code.
            let is_of_system = crate::error::os_error(io).is_some();
            return match (is_reading, is_of_system) {
                (true, true) => Cause::Store(format!("cannot use the lake: {io}")),
                (true, false) => Cause::Damage(None),
                (false, _) => Cause::Scratch,
            };
        }
        match cause.downcast_ref::<ArrowError>() {
            Some(ArrowError::ParquetError(_)) => return Cause::Damage(None),
            Some(ArrowError::ExternalError(_) | ArrowError::IoError(..)) | None => {}
            Some(_) => return Cause::Rows,
        }
        next = cause.source();
    }
    // A Parquet error without another cause means a damaged file, for example a text column that is
    // not UTF-8.
    if is_reading { Cause::Damage(None) } else { Cause::Rows }
}

/// Returns `error` itself if it is a Parquet error, or else the Parquet error directly inside it.
/// DataFusion boxes the Parquet error, so a plain downcast fails.
fn parquet_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a ParquetError> {
    match error.downcast_ref::<DataFusionError>() {
        Some(DataFusionError::ParquetError(parquet)) => Some(parquet),
        _ => error.downcast_ref::<ParquetError>(),
    }
}

/// Classifies the text of an error that occurred while the metadata of a file was read. Such a text
/// contains either an error of our store, or the reason why the file is damaged. Returns `None` for
/// any other text.
fn of_metadata(text: &str) -> Option<Cause> {
    let (_, rest) = text.split_once(METADATA_OF)?;
    if let Some((_, ours)) = rest.split_once(&format!("Generic {STORE_NAME} error: ")) {
        return Some(Cause::Store(ours.to_owned()));
    }
    let (key, _) = rest.split_once(": ")?;
    Some(Cause::Damage(Some(key.to_owned())))
}

#[cfg(test)]
mod tests;
