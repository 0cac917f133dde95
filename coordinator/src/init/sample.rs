//! Chooses the objects of a source to read: all of them, or a sample that fits the budget.

use std::collections::BTreeSet;

use lakewright_common::storage::object::SourceObject;

/// Seed of the pseudo-random order, so that the same objects give the same sample.
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
/// Probability that a field of the given share was missed by a sample.
const MISS: f64 = 0.001;

/// Returns the indexes of the objects to read, in ascending order: the first, the last, the
/// largest, and then pseudo-random ones until their bytes exceed `budget`.
pub(super) fn choose(objects: &[SourceObject], budget: u64) -> Vec<usize> {
    let total: u64 = objects.iter().map(|object| object.bytes).sum();
    if total <= budget || objects.is_empty() {
        return (0..objects.len()).collect();
    }
    let last = objects.len() - 1;
    let largest = (0..=last).max_by_key(|index| objects[*index].bytes).unwrap_or(0);
    let mut chosen = BTreeSet::from([0, last, largest]);
    let mut bytes: u64 = chosen.iter().map(|index| objects[*index].bytes).sum();
    for index in shuffled(objects.len()) {
        if bytes >= budget {
            break;
        }
        if chosen.insert(index) {
            bytes += objects[index].bytes;
        }
    }
    chosen.into_iter().collect()
}

/// Returns the share of records from which on a field was seen with 99.9 % confidence, if `records`
/// random records were read.
pub(super) fn seen_share(records: u64) -> f64 {
    if records == 0 {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
    let records = records as f64;
    1.0 - MISS.powf(1.0 / records)
}

/// Returns the numbers below `count` in a pseudo-random order, which depends only on `count`.
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = SEED;
    for end in (1..count).rev() {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let random = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        let range = end as u64 + 1;
        order.swap(end, usize::try_from(random % range).unwrap_or(0));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(sizes: &[u64]) -> Vec<SourceObject> {
        let object = |(index, bytes): (usize, &u64)| SourceObject {
            key: format!("{index:03}.json"),
            bytes: *bytes,
            etag: None,
            modified: 0,
        };
        sizes.iter().enumerate().map(object).collect()
    }

    #[test]
    fn a_sample_has_the_first_the_last_and_the_largest_object() {
        let mut sizes = vec![10; 100];
        sizes[40] = 20;
        let chosen = choose(&objects(&sizes), 100);
        assert!([0, 40, 99].iter().all(|index| chosen.contains(index)), "{chosen:?}");
        let bytes: u64 = chosen.iter().map(|index| sizes[*index]).sum();
        assert!((100..120).contains(&bytes), "{bytes}");
        assert_eq!(chosen, choose(&objects(&sizes), 100));
        assert_eq!(choose(&objects(&sizes), 1010).len(), 100);
        assert!(choose(&[], 0).is_empty());
    }

    #[test]
    fn the_confidence_grows_with_the_records() {
        assert!((seen_share(6905) - 0.001).abs() < 1e-6);
        assert!(seen_share(10) > 0.4);
    }
}
