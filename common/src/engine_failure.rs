//! A failure of the engine while rows pass, by what the user can do about it.

use std::error::Error as StdError;

use datafusion::error::DataFusionError;

use crate::error::Error;
use crate::printable;

/// An engine's failure while rows pass, by what the user can do about it.
#[must_use]
pub fn stage_error(error: DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            Error::configuration("a query needs more memory than `[limits] memory` allows")
                .hint(
                    "raise `[limits] memory` (of a worker: --memory), or run fewer tasks at once (`[limits] threads`, \
                     --vcores); a join holds its smaller side in memory, all else spills",
                )
                .caused_by(error)
        }
        DataFusionError::Internal(_) => Error::internal("the query engine failed").caused_by(error),
        _ if is_of_storage(&error) => Error::storage("use", "the lake or the scratch folder", error)
            .hint("is there room on the disk, and is every file of the lake still there and whole?"),
        // It may quote values.
        _ => Error::data("a query failed on its data").caused_by(printable::line(&error.to_string()).into_owned()),
    }
}

/// Whether a read or a write failed, or a file is not what was written.
fn is_of_storage(error: &DataFusionError) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        let is_damaged =
            matches!(cause.downcast_ref(), Some(DataFusionError::ParquetError(parquet)) if is_damage(parquet));
        if cause.is::<std::io::Error>() || cause.is::<object_store::Error>() || is_damaged {
            return true;
        }
        next = cause.source();
    }
    false
}

/// A reader wraps what failed on its rows as well.
fn is_damage(error: &parquet::errors::ParquetError) -> bool {
    !matches!(error, parquet::errors::ParquetError::External(_) | parquet::errors::ParquetError::ArrowError(_))
}
