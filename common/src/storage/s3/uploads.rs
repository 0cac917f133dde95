//! Unfinished multipart uploads, which cost as much as objects but appear in no listing of objects.

use super::S3;
use super::failure::{failure, status};
use crate::error::Result;

/// An unfinished multipart upload.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Key relative to the prefix.
    pub key: String,
    id: String,
}

impl S3 {
    /// Returns the unfinished uploads below the prefix that were started before the time `before`.
    /// The time is in seconds since the epoch.
    ///
    /// # Errors
    /// A storage error that names the prefix.
    pub async fn unfinished_uploads(&self, before: i64) -> Result<Vec<Upload>> {
        let mut uploads = Vec::new();
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let request = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(&self.prefix);
            let request = request.set_key_marker(key_marker).set_upload_id_marker(id_marker);
            let request = request.set_request_payer(self.payer());
            let page = request.send().await.map_err(|e| failure("list uploads below", self.url_of(""), &e))?;
            for upload in page.uploads() {
                let (Some(key), Some(id), Some(started)) = (upload.key(), upload.upload_id(), upload.initiated())
                else {
                    continue;
                };
                // Some servers ignore the prefix.
                let Some(key) = key.strip_prefix(&self.prefix).filter(|_| started.secs() < before) else { continue };
                uploads.push(Upload { key: key.to_owned(), id: id.to_owned() });
            }
            key_marker = page.next_key_marker().map(str::to_owned);
            id_marker = page.next_upload_id_marker().map(str::to_owned);
            if page.is_truncated() != Some(true) || key_marker.is_none() {
                return Ok(uploads);
            }
        }
    }

    /// Aborts an upload. An upload that no longer exists is no error.
    ///
    /// # Errors
    /// A storage error that names the object.
    pub async fn abort(&self, upload: &Upload) -> Result<()> {
        let key = format!("{}{}", self.prefix, upload.key);
        let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(&upload.id);
        match request.set_request_payer(self.payer()).send().await {
            Ok(_) => Ok(()),
            // Another process has aborted or completed it.
            Err(error) if status(&error) == Some(404) => Ok(()),
            Err(error) => Err(failure("end the upload of", self.url_of(&upload.key), &error)),
        }
    }
}
