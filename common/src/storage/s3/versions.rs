//! Finds the listed version of an object that has been replaced or deleted since, if the bucket
//! keeps versions.
//!
//! A listing of objects does not contain version ids, and a listing of versions can be very long,
//! because it contains every version of every object. So we search for a version only if a read
//! finds that the object has changed or no longer exists.

use super::S3;
use super::failure::failure;

impl S3 {
    /// Returns the id of a version of `key` that has this ETag; `None` if there is no such version,
    /// or if listing versions is not allowed.
    pub async fn version_of(&self, key: &str, etag: &str) -> Option<String> {
        let key = format!("{}{key}", self.prefix);
        let (mut key_marker, mut version_marker) = (None, None);
        loop {
            let request = self.client.list_object_versions().bucket(&self.bucket).prefix(&key);
            let request = request.set_key_marker(key_marker).set_version_id_marker(version_marker);
            let page = match request.set_request_payer(self.payer()).send().await {
                Ok(page) => page,
                Err(error) => {
                    let error = failure("list versions of", format!("s3://{}/{key}", self.bucket), &error);
                    tracing::debug!(%error, "cannot look for the listed version");
                    return None;
                }
            };
            let is_it = |version: &&aws_sdk_s3::types::ObjectVersion| {
                version.key() == Some(&key) && version.e_tag() == Some(etag)
            };
            // Any version with this ETag will do, because reads compare only the ETag.
            if let Some(version) = page.versions().iter().find(is_it) {
                return version.version_id().map(str::to_owned);
            }
            // The versions of `key` come before those of longer keys that start with `key`, so stop
            // after them.
            let is_past = page.next_key_marker().is_none_or(|marker| marker != key);
            if page.is_truncated() != Some(true) || is_past {
                return None;
            }
            key_marker = page.next_key_marker().map(str::to_owned);
            version_marker = page.next_version_id_marker().map(str::to_owned);
        }
    }
}
