//! Converts fields of messages, and rejects values that are too large or invalid.

use url::Url;

use crate::error::{Context, Error, Result};

/// Converts a count in a message to `usize`.
pub(super) fn number(count: u64) -> Result<usize> {
    usize::try_from(count).context(|| Error::internal("a count is too large"))
}

/// Parses a URL from a message.
pub(super) fn parse_url(text: &str) -> Result<Url> {
    Url::parse(text).context(|| Error::internal("a URL is invalid"))
}
