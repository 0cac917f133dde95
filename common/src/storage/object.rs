//! ① One object of a source as it was listed. Later reads verify that the object still has the same
//! properties.

use serde::{Deserialize, Serialize};

/// An object of a source. Reads request exactly the version that was listed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceObject {
    /// Key relative to the source's root, with `/` between segments.
    pub key: String,
    /// Number of stored bytes, which are compressed bytes for a compressed object.
    pub bytes: u64,
    /// ETag; `None` if the storage has no ETags.
    pub etag: Option<String>,
    /// Time of the last change, in microseconds since the epoch, UTC.
    pub modified: i64,
}

/// Compression of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
    /// Snappy in its own framing format.
    Snappy,
    /// Snappy in Hadoop's blocks, as written by Spark and Amazon Data Firehose.
    HadoopSnappy,
    /// Frames of lz4.
    Lz4,
    /// Lz4 in Hadoop's blocks, as written by Spark.
    HadoopLz4,
    /// A zip archive. Its files are read one after another.
    Zip,
}

impl Compression {
    /// Returns the compression for a file extension, or for a value of `Content-Encoding`.
    #[must_use]
    pub fn named(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "gz" | "gzip" | "x-gzip" => Self::Gzip,
            "zst" | "zstd" => Self::Zstd,
            "bz2" | "bzip2" | "x-bzip2" => Self::Bzip2,
            "xz" => Self::Xz,
            "snappy" | "sz" => Self::Snappy,
            "lz4" => Self::Lz4,
            "zip" => Self::Zip,
            _ => Self::None,
        }
    }
}

impl SourceObject {
    /// Returns the compression that the extension of the key suggests. `read::content` checks
    /// whether the bytes of the object agree.
    #[must_use]
    pub fn compression(&self) -> Compression {
        let name = self.key.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or(Compression::None, |(_, extension)| Compression::named(extension))
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
            ("a.json.xz", Compression::Xz),
            ("a.json.snappy", Compression::Snappy),
            ("a.json.lz4", Compression::Lz4),
            ("a.zip", Compression::Zip),
        ] {
            let object = SourceObject { key: key.into(), bytes: 1, etag: None, modified: 0 };
            assert_eq!(object.compression(), compression, "{key}");
        }
    }
}
