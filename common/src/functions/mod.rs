//! Faster implementations of DataFusion's functions, with the same names, types and results, and
//! functions that only the coordinator puts into plans. Only `float_extreme` has other results.
//!
//! Each replacement wraps DataFusion's function and calls it for every input that it does not handle.
//! The functions also work on a cluster, because an encoded plan contains only the names of functions,
//! and every process registers those of this folder. Functions whose *results* differ from
//! DataFusion's are in `crate::sql`.

use datafusion::error::Result;
use datafusion::prelude::SessionContext;

/// `concat` that formats integers without an intermediate array.
mod concat;
/// `date_part` of UTC timestamps by integer arithmetic.
mod date_part;
/// `max` and `min` of floating-point numbers, with infinities.
mod float_extreme;
/// Hashes of keys, and sets of hashes that a plan contains as a literal.
pub mod key_hashes;
/// `max` and `min` of texts, with the values of all groups in one buffer.
mod text_extreme;
/// One text per group, with all texts in one buffer.
mod text_groups;

/// Registers the functions of this folder.
///
/// # Errors
/// An error, if the session does not have DataFusion's own functions.
pub(crate) fn register(session: &SessionContext) -> Result<()> {
    text_extreme::register(session)?;
    date_part::register(session)?;
    concat::register(session)?;
    key_hashes::register(session);
    Ok(())
}
