//! Collects the rows of one partition that may still be the first of their group.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::Schema;
use arrow::row::{RowConverter, SortField};
use datafusion::error::Result;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use super::keys::Keys;

/// Number of buffered batches that triggers a compaction, which removes the rows that can no longer
/// be first.
const BATCHES_BEFORE_COMPACTION: usize = 64;
/// Number of rows after which to decide whether dropping rows is worth it.
const PROBED_ROWS: usize = 64 * 1024;

/// Rows that may be the first of their group.
pub(super) struct Candidates {
    keys: Keys,
    schema: Arc<Schema>,
    groups: Box<dyn GroupValues>,
    /// Converts values of the order key to bytes that sort in the declared order.
    converter: RowConverter,
    /// Best order key so far of each group, as bytes of `converter`, with the number of times that
    /// it was improved.
    best: Vec<Best>,
    best_bytes: usize,
    batches: Vec<RecordBatch>,
    rows: Vec<Candidate>,
    /// Group of each row of the batch that is being added. The vector is kept so that its memory is
    /// reused for the next batch.
    group_of_row: Vec<usize>,
    /// Number of rows that were added since the start, or since the last [`Self::take`].
    added: usize,
    /// Whether [`Self::is_useless`] has already made its decision, since the start or since the
    /// last [`Self::take`].
    is_probed: bool,
}

struct Best {
    key: Vec<u8>,
    improvements: u32,
}

struct Candidate {
    group: usize,
    batch: usize,
    row: usize,
    /// Number of times that the group's best key had been improved when this row was added. If the
    /// key was improved again later, this row cannot be first.
    improvements: u32,
}

impl Candidates {
    /// Creates an empty set for rows of `schema`.
    ///
    /// # Errors
    /// A key has a type that cannot be grouped or sorted.
    pub(super) fn new(keys: Keys, schema: Arc<Schema>) -> Result<Self> {
        let order = SortField::new_with_options(schema.field(keys.order).data_type().clone(), keys.options);
        Ok(Self {
            groups: group_values(&keys, &schema)?,
            converter: RowConverter::new(vec![order])?,
            keys,
            schema,
            best: vec![],
            best_bytes: 0,
            batches: vec![],
            rows: vec![],
            group_of_row: vec![],
            added: 0,
            is_probed: false,
        })
    }

    /// Adds those rows of a batch that may be first. The order key of such a row is at least as
    /// good as the best key of its group so far.
    pub(super) fn add(&mut self, batch: RecordBatch) -> Result<()> {
        let partition: Vec<ArrayRef> = self.keys.partition.iter().map(|i| Arc::clone(batch.column(*i))).collect();
        self.groups.intern(&partition, &mut self.group_of_row)?;
        let order = self.converter.convert_columns(&[Arc::clone(batch.column(self.keys.order))])?;
        let kept = self.rows.len();
        for (row, (group, key)) in self.group_of_row.iter().zip(order.iter()).enumerate() {
            let key = key.data();
            // New groups are numbered in the order of their first rows.
            if *group == self.best.len() {
                self.best_bytes += key.len();
                self.best.push(Best { key: key.to_vec(), improvements: 0 });
            }
            let best = &mut self.best[*group];
            match key.cmp(&best.key[..]) {
                Ordering::Greater => continue,
                Ordering::Less => {
                    self.best_bytes = self.best_bytes + key.len() - best.key.len();
                    best.key.clear();
                    best.key.extend_from_slice(key);
                    best.improvements = best.improvements.wrapping_add(1);
                }
                // Keep both rows, because only a further order key decides, which is not known
                // here.
                Ordering::Equal => {}
            }
            let improvements = best.improvements;
            self.rows.push(Candidate { group: *group, batch: self.batches.len(), row, improvements });
        }
        self.added += batch.num_rows();
        if self.rows.len() > kept {
            self.batches.push(batch);
        }
        if self.batches.len() >= BATCHES_BEFORE_COMPACTION { self.compact() } else { Ok(()) }
    }

    /// Returns true if dropping rows is not worth the work, because more than half of the rows are
    /// kept. Decides only once, at the first call after `PROBED_ROWS` rows. Every other call
    /// returns false.
    pub(super) fn is_useless(&mut self) -> Result<bool> {
        // Once is enough: a compaction after every batch would copy all candidates each time.
        if self.is_probed || self.added < PROBED_ROWS {
            return Ok(false);
        }
        self.is_probed = true;
        self.compact()?;
        Ok(self.rows.len() * 2 > self.added)
    }

    /// Removes all rows. Returns the rows that may still be first, in their original order. Rows
    /// that are added later are only compared with each other.
    pub(super) fn take(&mut self) -> Result<Option<RecordBatch>> {
        self.compact()?;
        self.rows.clear();
        self.best.clear();
        (self.best_bytes, self.added, self.is_probed) = (0, 0, false);
        self.groups = group_values(&self.keys, &self.schema)?;
        Ok(self.batches.pop())
    }

    /// Removes the rows that can no longer be first, and copies the others to one batch.
    fn compact(&mut self) -> Result<()> {
        self.rows.retain(|row| row.improvements == self.best[row.group].improvements);
        if self.rows.is_empty() {
            self.batches.clear();
            return Ok(());
        }
        let places: Vec<(usize, usize)> = self.rows.iter().map(|row| (row.batch, row.row)).collect();
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let compacted = interleave_record_batch(&batches, &places)?;
        for (place, row) in self.rows.iter_mut().enumerate() {
            (row.batch, row.row) = (0, place);
        }
        self.batches = vec![compacted];
        Ok(())
    }

    /// Returns the number of allocated bytes.
    pub(super) fn size(&self) -> usize {
        self.batches.iter().map(RecordBatch::get_array_memory_size).sum::<usize>()
            + self.groups.size()
            + self.best_bytes
            + self.best.capacity() * size_of::<Best>()
            + self.rows.capacity() * size_of::<Candidate>()
            + self.group_of_row.capacity() * size_of::<usize>()
    }
}

fn group_values(keys: &Keys, schema: &Schema) -> Result<Box<dyn GroupValues>> {
    let fields: Vec<_> = keys.partition.iter().map(|i| Arc::clone(&schema.fields()[*i])).collect();
    new_group_values(Arc::new(Schema::new(fields)), &GroupOrdering::None)
}
