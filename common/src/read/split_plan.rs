//! ② Divides the work of a scan into partitions: bundles small objects and cuts large ones by byte
//! range.
//!
//! Only newline-delimited text can be cut, because a reader can find the next record from any byte
//! of the text. A record belongs to the range that contains its start (`framing::lines`), so a cut
//! may be anywhere. A range in the middle of an object does not show whether the object is
//! compressed, so the first bytes of each large object are read before it is cut.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};

use crate::config::resolved::Limits;
use crate::error::{Kind, Result};
use crate::read::content::Content;
use crate::read::fetch::content_of;
use crate::read::split::Split;
use crate::storage::Storage;
use crate::storage::object::{Compression, SourceObject};

/// Cost of opening an object, as the number of bytes that could be read in the same time. For tiny
/// objects, requests are most of the cost.
const OPEN_COST_BYTES: u64 = 16 * 1024;
/// Number of splits per concurrent task, so that a worker that finishes early finds another split.
const SPLITS_PER_TASK: u64 = 3;
/// Minimum size of a split. A smaller split would not be worth the cost of scheduling it, and would
/// result in a small file.
const LEAST_SPLIT_BYTES: u64 = 8 * 1024 * 1024;
/// Estimated number of decompressed bytes per compressed byte, used to estimate the cost of a
/// split. Logs are compressed about tenfold.
const INFLATION: u64 = 8;

/// Kind of content of each large object, by key.
pub type Contents = HashMap<String, Content>;

/// Reads the first bytes of each of `objects` that may be cut, with one request each. `can_be_cut` is
/// the result of [`crate::read::record_format::can_be_cut`] for the source. Ignores an object that
/// changed after it was listed; the scan reports it.
///
/// # Errors
/// A storage error that names the object.
pub async fn contents_of_large(
    storage: &Storage,
    objects: &[SourceObject],
    can_be_cut: bool,
    limits: &Limits,
) -> Result<Contents> {
    // Objects up to this size are never cut, so their content need not be known.
    let never_cut = if can_be_cut { LEAST_SPLIT_BYTES.min(limits.split_bytes) } else { u64::MAX };
    let large: Vec<SourceObject> = objects.iter().filter(|object| object.bytes > never_cut).cloned().collect();
    let looks =
        stream::iter(large).map(|object| look(storage.clone(), object)).buffer_unordered(limits.concurrent_reads);
    looks.try_filter_map(|content| std::future::ready(Ok(content))).try_collect().await
}

async fn look(storage: Storage, object: SourceObject) -> Result<Option<(String, Content)>> {
    match content_of(&storage, &object).await {
        Ok(content) => Ok(Some((object.key, content))),
        // Ignore the change here, because the scan reads the object again and reports it.
        Err(error) if error.kind == Kind::Data => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the partitions of a scan over `objects`: for each partition, splits that together cost
/// about as much as reading `split_bytes` bytes. Every byte of every object is in exactly one
/// split. An empty object has a split too, for the ledger. The order of `objects` does not affect
/// the partitions. Only objects that are plain text according to `contents` are cut.
#[must_use]
pub fn plan_splits(
    mut objects: Vec<SourceObject>,
    contents: &Contents,
    can_be_cut: bool,
    split_bytes: u64,
) -> Vec<Vec<Split>> {
    // Sorted, so that the plan does not depend on the order of the listing.
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    let mut partitions = Vec::new();
    let mut bundle: Vec<Split> = Vec::new();
    let mut bundle_cost: u64 = 0;
    for split in objects.into_iter().flat_map(|object| cut(object, contents, can_be_cut, split_bytes)) {
        let cost = cost(&split, contents);
        // A split that exceeds `split_bytes` on its own still gets a bundle.
        if !bundle.is_empty() && bundle_cost.saturating_add(cost) > split_bytes {
            partitions.push(std::mem::take(&mut bundle));
            bundle_cost = 0;
        }
        bundle_cost = bundle_cost.saturating_add(cost);
        bundle.push(split);
    }
    if !bundle.is_empty() {
        partitions.push(bundle);
    }
    partitions
}

/// Returns the split size for `objects` and `tasks` concurrent tasks: at most `most`, and less if
/// tasks would otherwise be idle.
#[must_use]
pub fn split_bytes_for(objects: &[SourceObject], contents: &Contents, tasks: usize, most: u64) -> u64 {
    let costs = objects.iter().map(|object| cost(&Split::whole(object.clone()), contents));
    let cost: u64 = costs.fold(0, u64::saturating_add);
    // Apply `most` last: it is a limit that the user set, and the minimum is only a preference.
    (cost / (tasks as u64 * SPLITS_PER_TASK).max(1)).max(LEAST_SPLIT_BYTES).min(most)
}

/// Cuts one object into as few parts of equal size as possible, so that no part exceeds
/// `split_bytes`.
fn cut(object: SourceObject, contents: &Contents, can_be_cut: bool, split_bytes: u64) -> Vec<Split> {
    let is_cuttable = can_be_cut && contents.get(&object.key).is_some_and(|content| content.is_plain());
    let parts = if is_cuttable { object.bytes.div_ceil(split_bytes.max(1)).max(1) } else { 1 };
    // The size is rounded up, so the last part may be smaller or empty.
    let part_bytes = object.bytes.div_ceil(parts).max(1);
    if parts == 1 {
        return vec![Split::whole(object)];
    }
    (0..parts)
        .map(|part| (part * part_bytes)..((part + 1) * part_bytes).min(object.bytes))
        .filter(|range| !range.is_empty())
        .map(|range| Split { object: object.clone(), range })
        .collect()
}

fn cost(split: &Split, contents: &Contents) -> u64 {
    let bytes = split.range.end - split.range.start;
    let compression = match contents.get(&split.object.key) {
        Some(Content::Compressed(compression)) => *compression,
        Some(_) => Compression::None,
        // The content is unknown, because the object is small. Use its name instead.
        None => split.object.compression(),
    };
    let work = if compression == Compression::None { bytes } else { bytes.saturating_mul(INFLATION) };
    work.saturating_add(OPEN_COST_BYTES)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::ops::Range;

    use proptest::prelude::*;

    use super::*;
    use crate::read::content::Encoding;

    const MIB: u64 = 1 << 20;

    fn object(key: &str, bytes: u64) -> SourceObject {
        SourceObject { key: key.into(), bytes, etag: None, modified: 0 }
    }

    fn all(objects: &[SourceObject], content: Content) -> Contents {
        objects.iter().map(|object| (object.key.clone(), content)).collect()
    }

    const PLAIN: Content = Content::Text(Encoding::Utf8);

    fn ranges(partitions: &[Vec<Split>]) -> Vec<Vec<(&str, Range<u64>)>> {
        let named = |split| -> (&str, Range<u64>) {
            let split: &Split = split;
            (split.object.key.as_str(), split.range.clone())
        };
        partitions.iter().map(|splits| splits.iter().map(named).collect()).collect()
    }

    #[test]
    fn splits_are_smaller_where_many_tasks_wait_and_never_larger_than_allowed() {
        let objects: Vec<_> = (0..30).map(|i| object(&format!("{i:02}.json"), 16 * MIB)).collect();
        for (tasks, most, expected) in
            [(1, 128 * MIB, 128 * MIB), (2, 128 * MIB, 80), (16, 128 * MIB, 10), (1000, 128 * MIB, 8), (16, 777, 777)]
        {
            let bytes = split_bytes_for(&objects, &Contents::new(), tasks, most);
            assert_eq!(if bytes > 777 && bytes < 128 * MIB { bytes / MIB } else { bytes }, expected, "{tasks} tasks");
        }
    }

    #[test]
    fn fifteen_thousand_small_objects_are_bundled_into_few_partitions() {
        let objects = (0..15_000).map(|i| object(&format!("{i:05}.json"), 250)).collect();
        let partitions = plan_splits(objects, &Contents::new(), false, 128 * MIB);
        assert_eq!(partitions.len(), 2);
    }

    #[test]
    fn only_plain_lines_are_cut() {
        let large = 10 * MIB;
        let gzip = Content::Compressed(Compression::Gzip);
        let wide = Content::Text(Encoding::Utf16 { is_big_endian: false });
        let cases = [
            ("a.json", Some(PLAIN), true, 3),
            ("a.json.gz", Some(PLAIN), true, 3),
            ("a.json", Some(gzip), true, 1),
            ("a.json", Some(wide), true, 1),
            ("a.json", None, true, 1),
            ("a.json", Some(PLAIN), false, 1),
        ];
        for (key, content, can_be_cut, parts) in cases {
            let contents = content.into_iter().map(|content| (key.to_owned(), content)).collect();
            let partitions = plan_splits(vec![object(key, large)], &contents, can_be_cut, 4 * MIB);
            assert_eq!(partitions.len(), parts, "{key} {content:?} {can_be_cut}");
            assert_eq!(partitions[0][0].is_whole(), parts == 1);
        }
    }

    #[test]
    fn an_empty_object_has_a_split() {
        let partitions = plan_splits(vec![object("b", 0), object("a", 7)], &Contents::new(), true, MIB);
        assert_eq!(ranges(&partitions), [vec![("a", 0..7), ("b", 0..0)]]);
        assert!(partitions[0][1].is_whole());
        assert!(plan_splits(vec![], &Contents::new(), true, MIB).is_empty());
    }

    proptest! {
        #[test]
        fn every_byte_of_every_object_lies_in_exactly_one_split(
            sizes in prop::collection::vec(0_u64..200_000, 0..20),
            split_bytes in 1_u64..100_000,
        ) {
            let objects: Vec<_> = sizes.iter().enumerate().map(|(i, size)| object(&format!("{i:02}"), *size)).collect();
            let contents = all(&objects, PLAIN);
            let partitions = plan_splits(objects.clone(), &contents, true, split_bytes);
            let mut reversed = objects.clone();
            reversed.reverse();
            prop_assert_eq!(&partitions, &plan_splits(reversed, &contents, true, split_bytes));
            prop_assert!(partitions.iter().all(|splits| !splits.is_empty()));
            let splits: Vec<Split> = partitions.into_iter().flatten().collect();
            for object in objects {
                let mut at = 0;
                let mut count = 0;
                for split in splits.iter().filter(|split| split.object == object) {
                    prop_assert_eq!(split.range.start, at);
                    prop_assert!(split.range.end - at <= split_bytes.max(1));
                    at = split.range.end;
                    count += 1;
                }
                prop_assert_eq!(at, object.bytes);
                prop_assert!(count >= 1);
            }
        }
    }
}
