//! `quarantine`: counts rejected records by source and reason, or lists them.

use lakewright_common::config::nearest;
use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Error, Result};

use super::query::query;
use crate::output::Format;

/// Prints the counts, or up to `records` records.
///
/// # Errors
/// Storage; configuration, for a lake without a commit or a source that is not configured.
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
    let conditions: Vec<String> = [("source", source), ("reason", reason)]
        .into_iter()
        // The values are part of the SQL text, so quotes must be doubled.
        .filter_map(|(column, value)| value.map(|value| format!("{column} = '{}'", value.replace('\'', "''"))))
        .collect();
    let condition = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let sql = match records {
        None => format!(
            "SELECT source, reason, field, count(*) AS records, count(DISTINCT object) AS objects \
             FROM system.quarantine {condition} GROUP BY source, reason, field ORDER BY source, records DESC, reason, field"
        ),
        Some(records) => format!(
            "SELECT source, object, line, byte_offset, byte_end, reason, field, detail, text \
             FROM system.quarantine {condition} ORDER BY source, object, byte_offset LIMIT {records}"
        ),
    };
    query(config, &sql, None, format).await
}
