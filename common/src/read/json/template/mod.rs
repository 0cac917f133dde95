//! ③ Reads records of a known shape without a parser. This *fast path* is tried before the *exact
//! path*, which parses the record.
//!
//! Most records of a source have the same keys in the same order, and the same bytes between their
//! values. A template of these bytes is learned from a record of a new shape, if the exact path
//! accepts it. A record that matches a template needs no parser: it is compared with the template,
//! and its values are appended to the columns.
//!
//! ```text
//! record ─► shapes, the last one first ─► literal, value, literal, value … tail ─► stored
//!                │                           │ no shape matches, or a value is unusual
//!                │                           ▼
//!                │                        columns rolled back ─► exact path ─► stored or rejected
//!                └──────────────────────────────── learned ◄──────────┘
//! ```
//!
//! 1. `scan` reads strings and digits, many bytes at a time.
//! 2. `literal` compares the bytes before a value.
//! 3. `value` reads a value into its column.
//! 4. `shape` learns the shape of a record, and reads records by it.
//! 5. `pace` pauses the fast path while records match too rarely.
//!
//! Example: `{"page":"Home","ts":1541893856796}` was decoded by the exact path, and its shape is
//! `{"page":`, a string, `,"ts":`, a timestamp, `}`. The next record is
//! `{"page":"NextSong","ts":1541893857796}`. Its first 8 bytes are the first literal, then the
//! string is copied up to its quote, and so on. In `{"page":"NextSong","ts":"soon"}`, the value of
//! `ts` is unusual (a *surprise*): `NextSong` is removed again, and the exact path rejects the
//! record.
//!
//! **The exact path alone decides.** The fast path never rejects a record. It stores only what the
//! exact path would store, and returns false for everything else. The tests compare both paths on
//! any input.

/// Reads strings and numbers, many bytes at a time.
mod scan;
/// Compares the bytes before a value.
mod literal;
/// Reads a value into its column.
mod value;
/// The literals and values of a record in their order.
mod shape;
/// Pauses templates while too few records match.
mod pace;

use crate::read::json::columns::Column;
use crate::read::json::keys::Keys;
use crate::read::json::record::Record;
use crate::read::json::template::pace::{Decision, Pace};
use crate::read::json::template::scan::PADDING;
use crate::read::json::template::shape::{Outcome, Progress, Shape};
use crate::read::json::template::value::Text;

/// Maximum number of shapes that are remembered.
const MAX_SHAPES: usize = 8;
/// Maximum size of a record for the fast path, which copies each record.
const MAX_RECORD_BYTES: usize = 256 * 1024;

/// Shapes of the records of one source.
#[derive(Debug)]
pub(in crate::read) struct Templates {
    /// Known shapes, the shape of the last record first.
    shapes: Vec<Shape>,
    /// Bytes of the current record, followed by zeros.
    padded: Vec<u8>,
    /// Whether the current record matched no known shape, so that its shape is worth learning.
    is_new_shape: bool,
    /// Highest identifier that [`Shape::number_paths`] has assigned.
    last_path: u64,
    pace: Pace,
    records: u64,
}

impl Templates {
    pub(in crate::read) fn new() -> Self {
        Self {
            shapes: Vec::with_capacity(MAX_SHAPES),
            padded: Vec::new(),
            is_new_shape: false,
            last_path: 0,
            pace: Pace::default(),
            records: 0,
        }
    }

    /// Returns the number of records that the fast path has stored so far.
    pub(in crate::read) fn records(&self) -> u64 {
        self.records
    }

    /// Stores a record as row number `row` of the columns, if it has a known shape and ordinary
    /// values. Otherwise returns false and leaves the columns unchanged. The caller must then
    /// decode the record by the exact path, and call [`Self::learn`] if that path accepts it.
    pub(in crate::read) fn read(
        &mut self,
        json: &str,
        row: usize,
        columns: &mut [Column],
        record: &mut Record,
    ) -> bool {
        self.is_new_shape = false;
        if json.len() > MAX_RECORD_BYTES || !self.pace.is_running() {
            return false;
        }
        self.padded.clear();
        self.padded.extend_from_slice(json.as_bytes());
        self.padded.extend_from_slice(&[0; PADDING]);
        let text = Text { json, padded: &self.padded };
        record.begin();
        let mut progress = Progress::default();
        // Index of the shape that `progress` belongs to.
        let mut leader = 0;
        let mut outcome = Outcome::OtherShape;
        for number in 0..self.shapes.len() {
            let shape = &self.shapes[number];
            // The record has the leader's literals up to `progress`. Skip a shape whose literals
            // before `progress` differ from the leader's; any other shape continues at `progress`.
            if !shape.starts_like(&self.shapes[leader], progress.slots) {
                continue;
            }
            leader = number;
            outcome = shape.read(text, columns, record, &mut progress);
            if outcome != Outcome::OtherShape {
                break;
            }
        }
        let is_stored = outcome == Outcome::Stored;
        if is_stored {
            self.records += 1;
            self.shapes[leader].uses += 1;
            self.shapes[..=leader].rotate_right(1);
        } else if let Some(shape) = self.shapes.get(leader) {
            shape.roll_back(columns, row, progress.slots);
        }
        self.is_new_shape = outcome == Outcome::OtherShape;
        match self.pace.count(is_stored) {
            Decision::Wait => {}
            Decision::Continue => self.shapes.iter_mut().for_each(|shape| shape.uses /= 2),
            // The records after the pause may have other shapes, so forget the current ones.
            Decision::Pause => self.shapes.clear(),
        }
        is_stored
    }

    /// Learns the shape of the record that was last passed to [`Self::read`].
    pub(in crate::read) fn learn(&mut self, json: &str, keys: &Keys, columns: &[Column], required: &[Vec<usize>]) {
        if !std::mem::take(&mut self.is_new_shape) {
            return;
        }
        let Some(mut shape) = Shape::of(Text { json, padded: &self.padded }, keys, columns, required) else { return };
        // The record may have a known shape that did not match. For example, the fast path reads
        // only `1` of the long `1e5` and then does not find the next literal.
        if self.shapes.iter().any(|known| known.is_same(&shape)) {
            return;
        }
        shape.number_paths(&self.shapes, &mut self.last_path);
        if self.shapes.len() == MAX_SHAPES {
            // Replace the newest of the least used shapes, so that rare shapes only replace each
            // other.
            let least = (0..MAX_SHAPES).min_by_key(|&i| self.shapes[i].uses);
            least.map(|least| self.shapes.remove(least));
        }
        self.shapes.insert(0, shape);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
