//! Counters of objects, bytes and records that were read, for progress displays. Every scan adds to
//! them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one run. All scans of the run share them through the session. They only increase.
#[derive(Debug, Default)]
pub struct ReadProgress {
    objects: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

/// Values of the counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Number of objects that were read to their end.
    pub objects: u64,
    pub records: u64,
    /// Number of decompressed bytes.
    pub bytes: u64,
}

impl ReadProgress {
    pub fn add(&self, objects: u64, records: u64, bytes: u64) {
        self.objects.fetch_add(objects, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn counts(&self) -> ReadCounts {
        ReadCounts {
            objects: self.objects.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}
