//! ③ Shape of a record: its keys in their order, and everything else between its values.
//!
//! ```text
//! {"artist":"Elena","ts":1541893856796}
//! └───────┘       └───┘             │     literals; `artist` and `ts` are slots
//!          value        value       tail
//! ```

use crate::read::json::columns::Column;
use crate::read::json::keys::{Keys, Target};
use crate::read::json::record::Record;
use crate::read::json::template::literal::Literal;
use crate::read::json::template::scan;
use crate::read::json::template::value::{self, Kind, Text};

/// Maximum number of values of a record. Records with more values have no shape.
const MAX_SLOTS: usize = 1000;
/// Maximum number of bytes of a record outside of its values. Records with more have no shape.
const MAX_LITERAL_BYTES: usize = 32 * 1024;

/// Shape of records that the exact path has accepted.
#[derive(Debug)]
pub(super) struct Shape {
    slots: Vec<Slot>,
    tail: Literal,
    /// Indices of the columns for which the records have no key.
    absent: Vec<usize>,
    /// For each required field, its column and those of its aliases. One of them must not be null.
    required: Vec<Vec<usize>>,
    /// Undeclared fields of the records, as indices into the decoder's list of undeclared fields.
    undeclared: Vec<usize>,
    /// Number of records of this shape. Older records count less than recent ones.
    pub(super) uses: u32,
}

#[derive(Debug)]
struct Slot {
    /// Text between the previous value and the value of this slot.
    literal: Literal,
    /// Identifier of the sequence of literals from the start of the record up to this literal. Two
    /// slots have the same identifier if and only if their sequences are equal. Then all keys up to
    /// these slots are equal too.
    path: u64,
    kind: Kind,
    /// Index of the column; not used for an undeclared field.
    column: usize,
}

/// Progress in a record: the number of slots that were read, and the offset after the last of them.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Progress {
    pub(super) slots: usize,
    at: usize,
}

/// Outcome of reading a record by a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Stored,
    /// The record has another shape.
    OtherShape,
    /// A value is wrong or unusual.
    Surprise,
}

impl Shape {
    /// Returns the shape of a record that the exact path has just accepted. Returns `None` if a key
    /// is escaped or occurs twice, or if the record is very large.
    pub(super) fn of(text: Text<'_>, keys: &Keys, columns: &[Column], required: &[Vec<usize>]) -> Option<Self> {
        let mut reader =
            ShapeReader { text, columns, at: 0, start: 0, literal_bytes: 0, slots: Vec::new(), undeclared: Vec::new() };
        reader.skip_blanks();
        reader.read_object(keys)?;
        reader.at = text.json.len();
        let tail = reader.take_literal()?;
        let ShapeReader { slots, undeclared, .. } = reader;
        let is_present =
            |column: &usize| slots.iter().any(|slot| slot.kind != Kind::Undeclared && slot.column == *column);
        let absent = (0..columns.len()).filter(|column| !is_present(column)).collect();
        let required = required.to_vec();
        Some(Self { slots, tail, absent, required, undeclared, uses: 1 })
    }

    /// Whether both shapes have the same literals.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.slots.len() == other.slots.len()
            && self.tail == other.tail
            && self.slots.iter().zip(&other.slots).all(|(a, b)| a.literal == b.literal)
    }

    /// Sets `path` of each slot. If one of `others` starts with the same literals, the slot gets
    /// the identifier from there. Otherwise it gets a new one, by incrementing `next_path`.
    pub(super) fn number_paths(&mut self, others: &[Self], next_path: &mut u64) {
        let mut before = None;
        for (i, slot) in self.slots.iter_mut().enumerate() {
            let equal = others.iter().find_map(|other| {
                let same = other.slots.get(i)?;
                let same_before = i == 0 || other.slots.get(i - 1).map(|slot| slot.path) == before;
                (same_before && same.literal == slot.literal).then_some(same.path)
            });
            slot.path = equal.unwrap_or_else(|| {
                *next_path += 1;
                *next_path
            });
            before = Some(slot.path);
        }
    }

    /// Whether the first `slots` slots of both shapes are equal.
    pub(super) fn starts_like(&self, other: &Self, slots: usize) -> bool {
        let Some(last) = slots.checked_sub(1) else { return true };
        matches!((self.slots.get(last), other.slots.get(last)), (Some(a), Some(b)) if a.path == b.path)
    }

    /// Reads a record into the columns, starting at `progress`. If the record is not stored, the
    /// values read so far remain in the columns.
    pub(super) fn read(
        &self,
        text: Text<'_>,
        columns: &mut [Column],
        record: &mut Record,
        progress: &mut Progress,
    ) -> Outcome {
        let mut at = progress.at;
        for (number, slot) in self.slots.iter().enumerate().skip(progress.slots) {
            *progress = Progress { slots: number, at };
            let Some(start) = slot.literal.skip(text.padded, at) else { return Outcome::OtherShape };
            let end = if slot.kind == Kind::Undeclared {
                value::skip(text, start)
            } else {
                value::read(slot.kind, &mut columns[slot.column], record, text, start)
            };
            match end {
                Some(end) => at = end,
                None => return Outcome::Surprise,
            }
        }
        *progress = Progress { slots: self.slots.len(), at };
        if self.tail.skip(text.padded, at) != Some(text.json.len()) {
            return Outcome::OtherShape;
        }
        self.absent.iter().for_each(|&i| columns[i].push_null());
        let is_null = |&i: &usize| columns[i].len().checked_sub(1).is_none_or(|row| !columns[i].is_valid(row));
        if self.required.iter().any(|columns| columns.iter().all(is_null)) {
            return Outcome::Surprise;
        }
        record.seen.extend_from_slice(&self.undeclared);
        Outcome::Stored
    }

    /// Truncates the columns of slot 0 up to and including slot `last` to `row` values each.
    pub(super) fn roll_back(&self, columns: &mut [Column], row: usize, last: usize) {
        for slot in self.slots.iter().take(last + 1).filter(|slot| slot.kind != Kind::Undeclared) {
            columns[slot.column].truncate(row);
        }
        if last >= self.slots.len() {
            self.absent.iter().for_each(|&i| columns[i].truncate(row));
        }
    }
}

/// Finds the shape of a record. The exact path must have accepted the record, so its text is valid
/// JSON.
struct ShapeReader<'a> {
    text: Text<'a>,
    columns: &'a [Column],
    at: usize,
    /// Offset at which the current literal starts.
    start: usize,
    literal_bytes: usize,
    slots: Vec<Slot>,
    undeclared: Vec<usize>,
}

impl<'a> ShapeReader<'a> {
    /// Reads the record, or an object that is part of a dotted path.
    fn read_object(&mut self, keys: &Keys) -> Option<()> {
        self.expect(b'{')?;
        self.skip_blanks();
        if self.peek() == Some(b'}') {
            return self.expect(b'}');
        }
        let mut names = Vec::new();
        loop {
            self.skip_blanks();
            let name = self.read_key()?;
            if names.contains(&name) || names.len() == MAX_SLOTS {
                return None;
            }
            names.push(name);
            self.skip_blanks();
            self.expect(b':')?;
            self.skip_blanks();
            match keys.get(name) {
                Some(Target::Column(i)) => self.add_slot(Kind::of(self.columns.get(*i)?), *i)?,
                Some(Target::Path(path)) if self.peek() == Some(b'{') => self.read_object(&path.keys)?,
                // Any other value is accepted only with `on_invalid = "null"`. Such a record has no shape.
                Some(Target::Path(_)) => b"null".iter().try_for_each(|byte| self.expect(*byte))?,
                Some(Target::Unknown(field)) => self.add_undeclared(*field)?,
                None => self.add_undeclared(0)?,
            }
            self.skip_blanks();
            if self.peek() == Some(b'}') {
                return self.expect(b'}');
            }
            self.expect(b',')?;
        }
    }

    fn add_undeclared(&mut self, field: usize) -> Option<()> {
        self.undeclared.push(field);
        self.add_slot(Kind::Undeclared, 0)
    }

    fn add_slot(&mut self, kind: Kind, column: usize) -> Option<()> {
        let literal = self.take_literal()?;
        self.slots.push(Slot { literal, path: 0, kind, column });
        self.at = value::skip(self.text, self.at)?;
        self.start = self.at;
        (self.slots.len() <= MAX_SLOTS).then_some(())
    }

    fn take_literal(&mut self) -> Option<Literal> {
        let literal = self.text.padded.get(self.start..self.at)?;
        self.literal_bytes += literal.len();
        (self.literal_bytes <= MAX_LITERAL_BYTES).then(|| Literal::new(literal))
    }

    /// Reads a key without escapes.
    fn read_key(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        self.at = scan::plain_end(self.text.padded, start)?;
        let name = self.text.json.get(start..self.at)?;
        self.expect(b'"')?;
        Some(name)
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.padded.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }
}
