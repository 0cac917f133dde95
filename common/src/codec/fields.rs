//! Converts fields of messages, and rejects those that a peer cannot have meant.

use url::Url;

use crate::error::{Context, Error, Result};

/// Returns a count from a message.
pub(super) fn number(count: u64) -> Result<usize> {
    usize::try_from(count).context(|| Error::internal("a count is too large"))
}

/// Parses a URL of a message.
pub(super) fn parse_url(text: &str) -> Result<Url> {
    Url::parse(text).context(|| Error::internal("a URL is invalid"))
}
