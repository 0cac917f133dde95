//! Data that all steps of a run share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use datafusion::prelude::SessionContext;
use lakewright_common::config::resolved::Config;
use lakewright_common::session::Storages;
use lakewright_common::storage::s3::requests::RequestCounts;
use uuid::Uuid;

use crate::engine::Engine;
use crate::lake::manifest::Manifest;
use crate::progress::Progress;

/// State of one run after its sources were listed, such as the version that it will commit and the
/// engine that runs its plans.
pub(crate) struct RunContext<'a> {
    pub(crate) config: &'a Config,
    pub(crate) opened: &'a Storages,
    /// Session that plans queries for the engine.
    pub(crate) session: SessionContext,
    pub(crate) engine: Engine,
    pub(crate) progress: &'a Progress,
    /// Id of the run, which is part of the name of every file that it writes.
    pub(crate) run: Uuid,
    /// Version of the lake that this run will commit.
    pub(crate) version: u64,
    /// Newest manifest when the run started; `None` for a lake without a version.
    pub(crate) base: Option<Manifest>,
    /// Tables that the run has started to write.
    written: Mutex<Vec<String>>,
    /// Whether the manifest may exist on storage. This is so from the first attempt to write it,
    /// until the run learns that another run committed first.
    may_be_committed: AtomicBool,
}

impl<'a> RunContext<'a> {
    pub(super) fn new(
        config: &'a Config,
        opened: &'a Storages,
        session: SessionContext,
        engine: Engine,
        progress: &'a Progress,
        run: Uuid,
        base: Option<Manifest>,
    ) -> Self {
        let version = base.as_ref().map_or(1, |base| base.version + 1);
        let (written, may_be_committed) = (Mutex::default(), AtomicBool::new(false));
        Self { config, opened, session, engine, progress, run, version, base, written, may_be_committed }
    }

    /// Adds a table to the tables that the run has started to write.
    pub(super) fn start_writing(&self, table: &str) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).push(table.to_owned());
    }

    /// Returns the tables that the run has started to write.
    pub(super) fn written_tables(&self) -> Vec<String> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_may_be_committed(&self, may_be_committed: bool) {
        // `Relaxed` is enough: one task sets and reads the flag.
        self.may_be_committed.store(may_be_committed, Ordering::Relaxed);
    }

    pub(super) fn may_be_committed(&self) -> bool {
        self.may_be_committed.load(Ordering::Relaxed)
    }

    /// Returns the requests to S3 that this process and its workers have made.
    pub(crate) fn requests(&self) -> RequestCounts {
        let mut requests = self.opened.requests();
        requests.add(&self.engine.requests());
        requests
    }
}
