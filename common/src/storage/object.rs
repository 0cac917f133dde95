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
    Xz,
    /// In the frames of its own specification.
    Snappy,
    /// In the blocks of Hadoop, as Spark and Amazon Data Firehose write them.
    HadoopSnappy,
    /// The files of an archive, one after another.
    Zip,
}

impl Compression {
    /// The compression that a file extension or a `Content-Encoding` names.
    #[must_use]
    pub fn named(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "gz" | "gzip" | "x-gzip" => Self::Gzip,
            "zst" | "zstd" => Self::Zstd,
            "bz2" | "bzip2" | "x-bzip2" => Self::Bzip2,
            "xz" => Self::Xz,
            "snappy" | "sz" => Self::Snappy,
            "zip" => Self::Zip,
            _ => Self::None,
        }
    }
}

impl SourceObject {
    /// The compression that the key's extension names. The bytes may be something else: `read::content`.
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
            ("a.zip", Compression::Zip),
        ] {
            let object = SourceObject { key: key.into(), bytes: 1, etag: None, modified: 0 };
            assert_eq!(object.compression(), compression, "{key}");
        }
    }
}
