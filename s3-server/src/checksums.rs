//! Verifies checksums that clients send with a body. Responses contain the verified checksums, as
//! in S3.

use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Sha256};
use s3s::{S3Result, s3_error};

/// Verifies the SHA-256 that the client sent with `bytes`, and returns it in base64; `None` if the
/// client sent none.
///
/// # Errors
/// `BadDigest`, if the client sent a different checksum.
pub(crate) fn verified(bytes: &[u8], claimed: Option<&str>) -> S3Result<Option<String>> {
    let Some(claimed) = claimed else { return Ok(None) };
    let mut hasher = ChecksumHasher { sha256: Some(Sha256::new()), ..ChecksumHasher::default() };
    hasher.update(bytes);
    match hasher.finalize().checksum_sha256 {
        Some(found) if found == claimed => Ok(Some(found)),
        _ => Err(s3_error!(BadDigest, "the SHA-256 does not match the body")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_with_a_wrong_checksum_is_rejected() {
        // Output of `printf abc | openssl dgst -sha256 -binary | base64`.
        let of_abc = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        assert_eq!(verified(b"abc", Some(of_abc)).unwrap().as_deref(), Some(of_abc));
        assert!(verified(b"abd", Some(of_abc)).is_err());
        assert_eq!(verified(b"abd", None).unwrap(), None);
    }
}
