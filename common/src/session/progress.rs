//! What has been read so far, for whoever shows it: counters that every scan adds to.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one run, shared by its scans through the session; they only grow.
#[derive(Debug, Default)]
pub struct ReadProgress {
    objects: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Objects (or parts of one) read to their end.
    pub objects: u64,
    pub records: u64,
    /// Decompressed bytes.
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
