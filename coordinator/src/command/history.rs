//! `history`: lists the commits of the lake with their numbers of objects and records.

use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;

use super::query::query;
use crate::output::Format;
use crate::query_text::HISTORY;

/// Prints one row per commit, oldest first.
///
/// # Errors
/// A storage error. A configuration error for a lake without a commit.
pub(super) async fn history(config: &Config, format: Format) -> Result<()> {
    query(config, HISTORY, None, format).await
}
