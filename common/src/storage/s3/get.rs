//! Reads through the SDK: keys that `object_store` cannot represent (`a//b`, `..`, control
//! characters), and older versions of objects.

use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata;
use bytes::Bytes;

use super::S3;
use super::failure::{failure, status};
use crate::error::Error;

/// Pause before the first retry after a response body was cut off. The pause doubles with each
/// further retry.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// S3's error code for an object that must be restored before it can be read.
pub const ARCHIVED: &str = "InvalidObjectState";

/// Reason why an object could not be read.
#[derive(Debug)]
pub enum GetFailure {
    /// The object is no longer the listed version.
    Changed,
    Missing,
    /// The object must be restored before it can be read.
    Archived,
    Other(Error),
}

impl S3 {
    /// Reads a byte range of an object, or of the given version of it. Returns the bytes and the
    /// object's `Content-Encoding`. If `etag` is given, the object must still have this ETag.
    ///
    /// # Errors
    /// The reason why the object could not be read.
    pub async fn get(
        &self,
        key: &str,
        range: Range<u64>,
        etag: Option<&str>,
        version: Option<&str>,
    ) -> Result<(Bytes, Option<String>), GetFailure> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            let request = self
                .client
                .get_object()
                .bucket(&self.bucket)
                .key(format!("{}{key}", self.prefix))
                // HTTP ranges include their last byte.
                .range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))
                .set_if_match(etag.map(str::to_owned))
                .set_version_id(version.map(str::to_owned))
                .set_request_payer(self.payer());
            let mut object = request.send().await.map_err(|error| match status(&error) {
                Some(412) => GetFailure::Changed,
                Some(404) => GetFailure::Missing,
                _ if error.code() == Some(ARCHIVED) => GetFailure::Archived,
                _ => GetFailure::Other(failure("read", self.url_of(key), &error)),
            })?;
            let encoding = object.content_encoding.take();
            // The SDK retries a request, but not a body that is cut off.
            match tokio::time::timeout(self.settings.timeout, object.body.collect()).await {
                Ok(Ok(body)) => return Ok((body.into_bytes(), encoding)),
                Ok(Err(error)) if tries >= self.settings.attempts => {
                    return Err(GetFailure::Other(Error::storage("read", self.url_of(key), error)));
                }
                Err(_) if tries >= self.settings.attempts => {
                    let text = format!("the body was incomplete after {} s", self.settings.timeout.as_secs());
                    return Err(GetFailure::Other(Error::storage("read", self.url_of(key), text)));
                }
                _ => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(self.settings.timeout);
            tries += 1;
        }
    }
}
