//! Runs plans: the only place that knows where tasks run.
//!
//! Today every plan runs in this process (`embedded`): the same nodes and the same SQL as on a cluster, without an
//! exchange in between. A plan that goes in here has `SlotReport`s as its rows; what comes out is all of them.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use lakewright_common::error::Result;
use lakewright_common::write::report::{SlotReport, read_reports};

/// Plans in this process.
mod embedded;
/// A failure of the engine as one of ours.
mod failure;
/// A set of Parquet files that a manifest names, as a table of a query.
pub(crate) mod parquet_table;

pub(crate) use failure::stage_error;

/// Runs every partition of `plan`, at most `threads` at once; all reports or the first failure.
///
/// # Errors
/// What a partition failed with; the others are stopped then.
pub(crate) async fn run_stage(
    session: &SessionContext,
    plan: Arc<dyn ExecutionPlan>,
    threads: usize,
) -> Result<Vec<SlotReport>> {
    read_reports(&embedded::collect(session, plan, threads).await?)
}
