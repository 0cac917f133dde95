//! Faster implementations of DataFusion's functions, with the same names, types and results.
//!
//! Each function wraps DataFusion's own and calls it for every input that it does not handle. A
//! plan contains the names of its functions and every process registers these, so they work on a
//! cluster too. Functions whose *results* differ from DataFusion's are in [`crate::sql`].

use datafusion::error::Result;
use datafusion::prelude::SessionContext;

/// `concat` that writes integers itself.
mod concat;
/// `date_part` of UTC timestamps by integer arithmetic.
mod date_part;
/// `max` and `min` of texts in one buffer.
mod text_extreme;
/// One text per group, in one buffer.
mod text_groups;

/// Registers the functions of this folder.
///
/// # Errors
/// The session does not have DataFusion's own functions.
pub(crate) fn register(session: &SessionContext) -> Result<()> {
    text_extreme::register(session)?;
    date_part::register(session)?;
    concat::register(session)
}
