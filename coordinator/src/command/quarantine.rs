//! `quarantine`: what was rejected, counted by source and reason, or record by record.

use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;

use super::query::query;
use crate::output::Format;

/// Prints counts, or up to `records` records.
///
/// # Errors
/// Storage, or a lake without a commit.
pub(super) async fn quarantine(
    config: &Config,
    source: Option<String>,
    reason: Option<String>,
    records: Option<u64>,
    format: Format,
) -> Result<()> {
    let conditions: Vec<String> = [("source", source), ("reason", reason)]
        .into_iter()
        .filter_map(|(column, value)| value.map(|value| format!("{column} = '{}'", value.replace('\'', "''"))))
        .collect();
    let condition = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let sql = match records {
        None => format!(
            "SELECT source, reason, field, count(*) AS records, count(DISTINCT object) AS objects \
             FROM system.quarantine {condition} GROUP BY source, reason, field ORDER BY source, records DESC, reason, field"
        ),
        Some(records) => format!(
            "SELECT source, object, line, byte_offset, reason, field, detail, text \
             FROM system.quarantine {condition} ORDER BY source, object, byte_offset LIMIT {records}"
        ),
    };
    query(config, &sql, None, format).await
}
