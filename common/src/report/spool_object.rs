//! A spool object, and the byte ranges of each partition in it.

use std::ops::Range;

/// Description of the spool object with the rows that one attempt wrote for the next stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolObject {
    /// Key of the object, relative to the spool's root. Empty if there were no rows, because then
    /// no object exists.
    pub key: String,
    /// Number of rows per partition of the next stage.
    pub rows: Vec<u64>,
    /// Length of each chunk in bytes, as `chunk_bytes[flush][partition]`. The object contains the
    /// chunks in this order. A flush writes one chunk per partition; the length is 0 if the
    /// partition has no chunk.
    pub chunk_bytes: Vec<Vec<u64>>,
}

/// A range of a spool object that is one Arrow IPC stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Key of the spool object, relative to the spool's root.
    pub key: String,
    pub range: Range<u64>,
}

impl SpoolObject {
    /// Returns the chunks of one partition, in the order of writing.
    #[must_use]
    pub fn chunks_of(&self, partition: usize) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        let mut offset = 0;
        // The object is the concatenation of all flushes, and each flush has its partitions in
        // order.
        for flush in &self.chunk_bytes {
            for (i, bytes) in flush.iter().enumerate() {
                if i == partition && *bytes > 0 {
                    chunks.push(Chunk { key: self.key.clone(), range: offset..offset + bytes });
                }
                offset += bytes;
            }
        }
        chunks
    }

    /// Returns the size of the object in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.chunk_bytes.iter().flatten().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_all_partitions_cover_the_object_without_a_gap() {
        let object = SpoolObject {
            key: "s".into(),
            rows: vec![1, 0, 2],
            chunk_bytes: vec![vec![10, 0, 5], vec![0, 7, 1], vec![3, 3, 3]],
        };
        let mut ranges: Vec<Range<u64>> =
            (0..3).flat_map(|partition| object.chunks_of(partition)).map(|chunk| chunk.range).collect();
        ranges.sort_by_key(|range| range.start);
        assert_eq!(ranges, [0..10, 10..15, 15..22, 22..23, 23..26, 26..29, 29..32]);
        assert_eq!(object.bytes(), 32);
    }
}
