//! ③ From the text of one JSON record to one row of typed columns, or to a reason to reject it.
//!
//! ```text
//! {"page":"NextSong","ts":1542837416796} ─► decoder ─► visitor ─► keys ─► coerce ─► columns
//!                                            parses     a call per  which   declared   appended, or taken
//!                                                       key, value  column  type       back as a whole
//! ```

/// Parses a record into the columns.
pub mod decoder;
/// What the parser calls for each key and value.
mod visitor;
/// Which key belongs to which column.
mod keys;
/// What each declared type accepts.
pub mod coerce;
/// Columns that can take back a record.
mod columns;
