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
    /// Adds to the counters. A counter stays at its maximum instead of overflowing, because a
    /// worker may report any number.
    pub fn add(&self, objects: u64, records: u64, bytes: u64) {
        for (counter, more) in [(&self.objects, objects), (&self.records, records), (&self.bytes, bytes)] {
            counter.update(Ordering::Relaxed, Ordering::Relaxed, |count| count.saturating_add(more));
        }
    }

    pub fn counts(&self) -> ReadCounts {
        ReadCounts {
            objects: self.objects.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}
