//! `quarantine`: counts rejected records by source, reason and field, or lists them.

use lakewright_common::config::nearest;
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};

use super::query::query;
use crate::output::Format;
use crate::query_text::{rejected_counts, rejected_records};

/// Prints the number of rejected records by source, reason and field. With `records`, lists at most
/// that many rejected records instead.
///
/// # Errors
/// A storage error. A configuration error for a lake without a commit or a source that is not
/// configured.
pub(super) async fn quarantine(
    config: &Config,
    source: Option<String>,
    reason: Option<String>,
    records: Option<u64>,
    format: Format,
) -> Result<()> {
    // A misspelled name would match no row and look like an empty quarantine.
    if let Some(source) = source.as_ref().filter(|name| config.sources.iter().all(|source| source.name != **name)) {
        let names = || config.sources.iter().map(|source| source.name.as_str());
        let hint = match nearest(source, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the sources are `{}`", names().collect::<Vec<_>>().join("`, `")),
        };
        return Err(Error::configuration(format!("no source is named `{source}`")).hint(hint));
    }
    let (source, reason) = (source.as_deref(), reason.as_deref());
    let sql = match records {
        None => rejected_counts(source, reason),
        Some(records) => rejected_records(source, reason, records),
    };
    query(config, &sql, None, format).await
}
