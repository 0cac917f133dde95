//! ③ Decodes the text of one JSON record into one row of typed columns, or into a reason to reject
//! it.
//!
//! Input: the bytes of one record, as framing found them. Output: one more value in each column of
//! the staging table; or a `Rejection`, and columns as if the record had never been seen.
//!
//! ```text
//! {"page":"NextSong","ts":1542837416796} ─► decoder ─► visitor ─► keys ─► coerce ─► columns
//!                                            parses     a call per  which   to its     appended, or
//!                                                       key, value  column  type       rolled back
//! ```
//!
//! `reader` passes each record of a split to the decoder.
//!
//! 1. `decoder` lets `serde_json` parse the record, without building a tree.
//! 2. `visitor` is called with each key and value.
//! 3. `keys` finds the column of a key.
//! 4. `coerce` converts the value to the declared type of the column.
//! 5. `columns` stores the value. If the record is rejected, its values are removed again.
//! 6. `attached` adds the columns whose values are not in the record, such as the object's key.
//!
//! Before all of this, `template` tries to store the record without a parser. This succeeds if the
//! record looks like an earlier one.
//!
//! Example: at the key `ts`, `keys` finds column 1, declared as `timestamp(ms)`. The visitor
//! receives the number 1542837416796 and passes it to `coerce`, which returns 1542837416796000
//! microseconds since the epoch. `columns` appends it to column 1.

/// Frames and decodes the records of a split.
pub mod reader;
/// Parses a record into the columns.
pub mod decoder;
/// Stores records of a known shape without the parser.
mod template;
/// Faults and undeclared fields of the current record.
mod record;
/// Receives each key and value from the parser.
mod visitor;
/// Members of an object with their text.
mod members;
/// Names of types and texts of values, for messages.
mod fault_text;
/// Finds the column of a key.
mod keys;
/// Converts a value to a declared type.
pub mod coerce;
/// Which declared types accept a value.
pub mod acceptance;
/// Numbers with separators of thousands.
mod separators;
/// Fields with several keys.
mod alternatives;
/// The text of a number, and its exact value.
mod number;
/// Converts a timestamp.
mod timestamp;
/// Columns of the object's path, its properties, and the record's place and text.
mod attached;
/// Columns of values in the objects around the records.
mod enclosing;
/// Everything in a record that no field reads.
mod rest;
/// Repairs text that is almost JSON, where a setting allows it.
pub mod lenient;
/// Column buffers that can remove the values of a rejected record.
mod columns;
