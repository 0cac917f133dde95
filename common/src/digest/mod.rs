//! Digests, which detect a changed bit in a file of the lake.
//!
//! ```text
//! writer ─► digest of the whole file ─► manifest                    compared by `check --deep`
//!        └► digest of each 64 KiB    ─► the file, before its footer  compared by every read (`storage::verified`)
//! ```
//!
//! We use XXH64 because Parquet already depends on it, it runs at memory speed, and `xxhsum`
//! computes it too. A digest detects faults of disks and networks, but not an attacker, who would
//! change the digest as well.

use std::fmt;
use std::hash::Hasher as _;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

/// Digests of a Parquet file's blocks, inside the file.
pub mod blocks;

/// Name of the algorithm, which precedes the value in a digest.
const ALGORITHM: &str = "xxh64";
/// Seed of the hash, as in `xxhsum`.
const SEED: u64 = 0;

/// Digest of a file's bytes: `xxh64:` and 16 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Parses an `xxh64:` digest; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (algorithm, value) = text.split_once(':')?;
        let is_value = value.len() == 16 && value.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        (algorithm == ALGORITHM && is_value).then(|| Self(text.to_owned()))
    }

    /// Whether this version of the program knows the algorithm of the digest.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        self.0.split_once(':').is_some_and(|(algorithm, _)| algorithm == ALGORITHM)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Computes the digest of a file from consecutive pieces.
#[derive(Debug)]
pub struct Hasher {
    state: XxHash64,
    bytes: u64,
}

impl Default for Hasher {
    fn default() -> Self {
        Self { state: XxHash64::with_seed(SEED), bytes: 0 }
    }
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.write(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Returns the number of bytes that were added.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest(format!("{ALGORITHM}:{:016x}", self.state.finish()))
    }
}

/// Returns the digest of `bytes`.
#[must_use]
pub fn of(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

fn xxh64(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(SEED, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values come from `xxhsum` 0.8.
    #[test]
    fn digests_equal_those_of_xxhsum() {
        assert_eq!(of(b"").to_string(), "xxh64:ef46db3751d8e999");
        assert_eq!(of(b"a").to_string(), "xxh64:d24ec4f1a98c6e5b");
        let mut pieces = Hasher::default();
        pieces.update(b"a");
        pieces.update(b"bc");
        assert_eq!((pieces.bytes(), pieces.finish()), (3, of(b"abc")));
        assert_eq!(of(b"abc").to_string(), "xxh64:44bc2cf5ad770999");
    }
}
