//! The error for a query for which the engine would return a wrong result.

use datafusion::error::Result;

use crate::error::Error;

/// Returns the error "`what` is not supported", with the hint `instead`, which says what to write.
pub(super) fn refuse<T>(what: &str, instead: &str) -> Result<T> {
    Err(Error::configuration(format!("{what} is not supported")).hint(instead).into_engine())
}
