//! A failure of the engine while rows pass, by what the user can do about it.

use datafusion::error::DataFusionError;
use lakewright_common::error::Error;

/// An engine's failure while rows pass, by what the user can do about it.
pub(crate) fn stage_error(error: DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            Error::configuration("a query needs more memory than `[limits] memory` allows")
                .hint("raise `[limits] memory`, or lower `[limits] threads` so that each task gets a larger share")
                .caused_by(error)
        }
        DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) => {
            Error::storage("use", "the lake or the scratch folder", error).hint("is there room on the disk?")
        }
        DataFusionError::Internal(_) => Error::internal("the query engine failed").caused_by(error),
        _ => Error::data("a query failed on its data").caused_by(error),
    }
}
