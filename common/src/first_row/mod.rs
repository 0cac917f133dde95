//! Drops rows that cannot be the first of their group, before the rows are exchanged and sorted.
//!
//! `row_number() OVER (PARTITION BY user ORDER BY ts DESC) AS place … WHERE place = 1` keeps one
//! row per user. DataFusion exchanges and sorts all rows to find it. `node::FirstRowExec` runs
//! before the exchange and keeps only the rows whose first order key is the best of their group so
//! far.
//!
//! ```text
//! Filter: place = 1
//!   Window: row_number()
//!     Sort: user, ts DESC, …
//!       Repartition: Hash(user)
//!         FirstRowExec: user, ts DESC        ← added by `rule`
//!           …
//! ```
//!
//! The nodes above stay as they are and still find the first row, so the result is the same no
//! matter which other rows are kept. `FirstRowExec` may therefore keep rows with equal keys, pass
//! its rows on early when memory is short, and stop working where it drops too few rows.

/// Columns by which rows are grouped and compared.
pub mod keys;
/// The node `FirstRowExec`.
pub mod node;
/// Optimizer rule that adds the node to plans.
pub mod rule;
/// Rows that may be the first of their group.
mod candidates;
