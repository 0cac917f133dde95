//! Reads the records of a source's objects, as a run would, and collects their statistics.
//!
//! Objects are read by the reader of a run: decompressed, decoded and cut into records in chunks.
//! Sends the records to threads that count their values (`counters`). Memory contains some chunks, the
//! records that these threads have not counted yet, and the statistics.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use lakewright_common::config::resolved::{Decoding, JsonFormat, Limits};
use lakewright_common::error::Result;
use lakewright_common::read::chunks::Fault;
use lakewright_common::read::fetch::{StoredBytes, fetch_ahead};
use lakewright_common::read::framing::{Framed, Framer};
use lakewright_common::read::rejection::Extent;
use lakewright_common::read::split::Split;
use lakewright_common::storage::Storage;
use lakewright_common::storage::object::SourceObject;

use super::around::Surroundings;
use super::counters::Counters;
use super::detect::Detected;
use super::profile::{Count, Node, Place};

/// Number of objects whose first bytes are read ahead.
const READ_AHEAD: usize = 8;

/// Statistics of a source.
#[derive(Debug, Default)]
pub(super) struct Profile {
    /// Number of records that are objects.
    pub(super) records: u64,
    /// Statistics of the records.
    pub(super) root: Node,
    /// Statistics of the values beside and above the records.
    pub(super) around: Surroundings,
    /// Number of stored bytes that were read.
    pub(super) stored_bytes: u64,
    /// Number of objects that were read.
    pub(super) objects: usize,
    /// Records that are no JSON object, or too long.
    pub(super) rejected: Count,
    /// Parts that a run cannot stage, by the index of their object.
    pub(super) lost: BTreeMap<usize, Lost>,
    /// Records that are `null`.
    pub(super) null_records: Count,
    /// Records with `NaN` or an infinity.
    pub(super) nan_records: Count,
    /// Records that are not UTF-8.
    pub(super) not_utf8: Count,
    /// Whether a record has other characters than those of ASCII, in valid UTF-8.
    pub(super) has_utf8: bool,
    /// Objects that cannot be read to their end.
    pub(super) damaged: Count,
    /// Ranges of bytes that belong to no record. A run rejects each of them like a record.
    pub(super) broken: Count,
    /// Objects with values around their records, but without a record.
    pub(super) without_records: Count,
    /// Number of records that were framed, whatever became of them.
    pub(super) framed: u64,
    /// Number of bytes that belong to no record, and of all bytes, after decompression.
    pub(super) broken_bytes: u64,
    pub(super) text_bytes: u64,
}

/// Parts of an object that no run can stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Number of rejected records.
    pub(super) records: u64,
    /// Number of bytes that belong to no record.
    pub(super) bytes: u64,
}

/// Reads the chosen `objects`, each with its index, and stops once `budget` stored bytes were read.
///
/// # Errors
/// A storage error, or a data error if an object changed after it was listed.
pub(super) async fn read(
    storage: &Storage,
    objects: Vec<(usize, SourceObject)>,
    detected: &Detected,
    limits: &Limits,
    budget: u64,
) -> Result<Profile> {
    let format = &detected.format;
    let mut profile = Profile::default();
    let mut counters = Counters::start(limits.threads, detected.kind);
    // Of a few large objects, each gets its part of the budget.
    let share = budget / (objects.len().max(1) as u64);
    let opened = objects.into_iter().map(|(index, object)| {
        let (storage, limits) = (storage.clone(), limits.clone());
        async move {
            let (split, stored) = (Split::whole(object), StoredBytes::default());
            let chunks = fetch_ahead(&storage, &split, &Decoding::default(), &limits, None, &stored).await;
            (index, split, chunks, stored)
        }
    });
    let mut opened = stream::iter(opened).buffered(READ_AHEAD);
    while let Some((index, split, mut chunks, stored)) = opened.next().await {
        profile.objects += 1;
        let mut framer = Framer::for_split(&split, format, limits.max_record_bytes);
        framer.observe();
        let mut is_part = false;
        let before = profile.framed;
        // An object that is larger than its share may use what smaller objects left over.
        let left = budget.saturating_sub(profile.stored_bytes).min(share.max(split.object.bytes.min(budget / 4)));
        loop {
            match chunks.next().await {
                Some(Ok(chunk)) => {
                    profile.text_bytes += chunk.len() as u64;
                    framer.push(&chunk);
                    profile.add_all(&mut framer, index, format, &mut counters).await;
                    if stored.count() >= left && stored.count() < split.object.bytes {
                        is_part = true;
                        break;
                    }
                }
                Some(Err(Fault::Storage(error))) => return Err(error),
                Some(Err(Fault::Broken { reason, detail })) => {
                    profile.damaged.add(Place { object: index, position: 0 });
                    framer.break_off(reason, detail);
                    profile.add_all(&mut framer, index, format, &mut counters).await;
                    break;
                }
                None => {
                    framer.finish();
                    profile.add_all(&mut framer, index, format, &mut counters).await;
                    break;
                }
            }
        }
        let place = Place { object: index, position: 0 };
        for objects in framer.objects_around() {
            profile.around.count(objects, is_part, place);
            if objects.level == 0 && profile.framed == before && !is_part {
                profile.without_records.add(place);
            }
        }
        profile.stored_bytes += stored.count();
        if profile.stored_bytes >= budget {
            break;
        }
    }
    for counted in counters.finish().await? {
        profile.merge(counted);
    }
    Ok(profile)
}

impl Profile {
    /// Sends the records that `framer` has found to the counters.
    async fn add_all(&mut self, framer: &mut Framer, object: usize, format: &JsonFormat, counters: &mut Counters) {
        while let Some(framed) = framer.next() {
            match framed {
                Framed::Record { text, line, offset } => {
                    self.framed += 1;
                    let position = if *format == JsonFormat::Lines { line } else { offset };
                    if counters.add(text, Place { object, position }) {
                        counters.send().await;
                    }
                }
                Framed::Broken { bytes, extent, line, offset, .. } => {
                    let position = if *format == JsonFormat::Lines { line } else { offset };
                    let place = Place { object, position };
                    if extent == Extent::Rest {
                        self.damaged.first.get_or_insert(place);
                        self.damaged.count = self.damaged.count.max(1);
                    }
                    if extent == Extent::Record {
                        self.reject(place);
                    } else {
                        self.broken.add(place);
                        self.broken_bytes += bytes;
                        self.lost.entry(object).or_default().bytes += bytes;
                    }
                }
            }
        }
        for member in framer.take_members_around() {
            self.around.add(&member, Place { object, position: 0 });
        }
    }

    pub(super) fn reject(&mut self, place: Place) {
        self.rejected.add(place);
        self.lost.entry(place.object).or_default().records += 1;
    }

    /// Adds the counts of other records.
    fn merge(&mut self, other: Self) {
        self.records += other.records;
        self.root.merge(other.root);
        self.rejected.merge(other.rejected);
        for (object, lost) in other.lost {
            let known = self.lost.entry(object).or_default();
            known.records += lost.records;
            known.bytes += lost.bytes;
        }
        self.null_records.merge(other.null_records);
        self.nan_records.merge(other.nan_records);
        self.not_utf8.merge(other.not_utf8);
        self.has_utf8 |= other.has_utf8;
    }
}
