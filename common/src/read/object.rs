//! ① One object of a source, as it was listed: what every read of it is held to.

use serde::{Deserialize, Serialize};

/// A file under a source's prefix. Every read of it asks for exactly these bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceObject {
    /// Relative to the source's root, segments separated by `/`.
    pub key: String,
    /// Size as stored, compressed where it is compressed.
    pub bytes: u64,
    /// Absent where the storage has none.
    pub etag: Option<String>,
    /// Microseconds since the epoch, UTC.
    pub modified: i64,
}

/// How an object's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
    Bzip2,
}

impl SourceObject {
    /// The compression that the key's extension names; anything but `.gz`, `.zst` and `.bz2` is plain.
    #[must_use]
    pub fn compression(&self) -> Compression {
        let name = self.key.rsplit('/').next().unwrap_or_default();
        let Some((_, extension)) = name.rsplit_once('.') else { return Compression::None };
        match extension.to_ascii_lowercase().as_str() {
            "gz" => Compression::Gzip,
            "zst" => Compression::Zstd,
            "bz2" => Compression::Bzip2,
            _ => Compression::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_names_the_compression_in_any_case() {
        for (key, compression) in [
            ("2018/11/events.json.gz", Compression::Gzip),
            ("EVENTS.JSON.GZ", Compression::Gzip),
            ("a.zst", Compression::Zstd),
            ("a.Bz2", Compression::Bzip2),
            ("a.json", Compression::None),
            ("folder.gz/a", Compression::None),
            ("gz", Compression::None),
            ("a.gzip", Compression::None),
        ] {
            let object = SourceObject { key: key.into(), bytes: 1, etag: None, modified: 0 };
            assert_eq!(object.compression(), compression, "{key}");
        }
    }
}
