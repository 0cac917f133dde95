//! Refuses a plan that the engine would answer wrongly.

use datafusion::error::Result;

use crate::error::Error;

/// Returns the error for a query with `what`, with a hint at what to write instead.
pub(super) fn refuse<T>(what: &str, instead: &str) -> Result<T> {
    Err(Error::configuration(format!("{what} is not supported")).hint(instead).into_engine())
}
