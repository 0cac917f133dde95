//! Conditional puts: of many concurrent puts of a key, only one succeeds.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use object_store::path::Path;
use sha2::{Digest, Sha256};

use super::S3;
use super::failure::{failure, status};
use crate::config::resolved::Encryption;
use crate::error::Result;
use crate::storage::put_outcome::PutOutcome;

/// Pause after the first conflict (status 409). The pause doubles with each further conflict.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

impl S3 {
    /// Puts the object if there is none at its key. If the response is lost after the put took
    /// effect, the retry finds our own object (status 412) and returns [`PutOutcome::Exists`];
    /// callers must check whether the object is theirs.
    ///
    /// # Errors
    /// A storage error. The object may or may not have been written then.
    pub async fn put_if_absent(&self, key: &Path, bytes: Bytes) -> Result<PutOutcome> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        // Send the checksum as a header. With only the algorithm set, the SDK would send the
        // checksum after a chunked body, which some servers do not support.
        let checksum = self.settings.checksums.then(|| BASE64_STANDARD.encode(Sha256::digest(&bytes)));
        loop {
            let (encryption, kms_key) = match &self.settings.encryption {
                None => (None, None),
                Some(Encryption::S3) => (Some(ServerSideEncryption::Aes256), None),
                Some(Encryption::Kms { key }) => (Some(ServerSideEncryption::AwsKms), key.clone()),
            };
            let put = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(format!("{}{key}", self.prefix))
                .if_none_match("*")
                .set_checksum_sha256(checksum.clone())
                .set_server_side_encryption(encryption)
                .set_ssekms_key_id(kms_key)
                .set_request_payer(self.payer())
                .body(ByteStream::from(bytes.clone()));
            match put.send().await {
                Ok(_) => return Ok(PutOutcome::Created),
                Err(error) => match status(&error) {
                    Some(412) => return Ok(PutOutcome::Exists),
                    // Another put of the key was in progress. Either of the two may have succeeded.
                    Some(409) if tries < self.settings.attempts => {}
                    _ => return Err(failure("write", self.url_of(key.as_ref()), &error)),
                },
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            tries += 1;
        }
    }
}
