//! JSON documents that end with their own digest, so that every reader notices a changed bit.
//!
//! `{"format":1,…}` becomes `{"format":1,…,"digest":"sha256:<64 hexadecimal digits>"}`: still one
//! JSON document. This last member is the seal. Its digest covers all bytes before the comma in
//! front of `"digest"`. The digest detects damage, but not an attacker, who would write a new
//! digest as well.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

const MEMBER: &[u8] = b",\"digest\":\"sha256:";
const HEX_DIGITS: usize = 64;
const END: &[u8] = b"\"}";
/// Two parts of every seal. A single changed bit in a seal leaves at least one of them intact, so a
/// document with a damaged seal is not mistaken for one without a seal.
const TRACES: [&[u8]; 2] = [b",\"digest\":\"", b"\"sha256:"];

/// Adds the digest as the last member of `document`, a JSON object with at least one member.
pub(crate) fn seal(mut document: Vec<u8>) -> Vec<u8> {
    // The last byte is `}`, which the seal adds again.
    document.truncate(document.len().saturating_sub(1));
    let digest = digest(&document);
    document.extend_from_slice(MEMBER);
    document.extend_from_slice(digest.as_bytes());
    document.extend_from_slice(END);
    document
}

/// Verifies the digest of a sealed document. A document without a seal was written by an older
/// program version and passes.
///
/// # Errors
/// The reason, for an error message.
pub(crate) fn verify(document: &[u8]) -> Result<(), &'static str> {
    // A seal has a fixed length, so its start is known without parsing.
    let start = document.len().saturating_sub(MEMBER.len() + HEX_DIGITS + END.len());
    let (sealed, seal) = document.split_at(start);
    let expected = seal.strip_prefix(MEMBER).and_then(|rest| rest.strip_suffix(END));
    match expected {
        Some(expected) if expected == digest(sealed).as_bytes() => Ok(()),
        // No trace of a seal: the document never had one. With a trace, the seal itself is damaged.
        None if TRACES.iter().all(|trace| !seal.windows(trace.len()).any(|bytes| bytes == *trace)) => Ok(()),
        _ => Err("it does not have the digest that was written with it"),
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(HEX_DIGITS), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_document_is_json_and_names_its_digest() {
        let sealed = seal(b"{\"a\":1}".to_vec());
        let read: serde_json::Value = serde_json::from_slice(&sealed).unwrap();
        assert_eq!(read["a"], 1);
        // sha256sum of `{"a":1`.
        assert_eq!(read["digest"], "sha256:8b0f0d75aabe01bbfba9341752c2cf7626f154e676aa791427b31aebfabc2592");
        assert_eq!(verify(&sealed), Ok(()));
        assert_eq!(verify(b"{\"a\":1}"), Ok(()));
        assert!(verify(b"{\"a\":1,\"digest\":\"sha256:00\"}").is_err());
    }
}
