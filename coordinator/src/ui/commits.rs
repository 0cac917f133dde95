//! Summaries of the versions of the lake. A version never changes, so summaries are kept for the life of
//! the process.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use lakewright_common::storage::Storage;
use lakewright_common::storage::s3::requests::{RequestClass, RequestCounts};
use uuid::Uuid;

use crate::lake::manifest::{Manifest, SourceCounts, StepRecord};
use crate::lake::manifest_store;

/// Number of manifests that are read at the same time.
const CONCURRENT_READS: usize = 16;

/// Summaries of all versions that were read so far.
#[derive(Debug, Default)]
pub(super) struct Commits {
    known: RwLock<BTreeMap<u64, Arc<Commit>>>,
}

/// What one commit did.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) version: u64,
    pub(super) run: Uuid,
    pub(super) committed_at: DateTime<Utc>,
    pub(super) elapsed_milliseconds: u64,
    pub(super) engine: String,
    /// Counts of this commit by source.
    pub(super) counts: BTreeMap<String, SourceCounts>,
    pub(super) requests: RequestCounts,
    pub(super) tables: Vec<TableSummary>,
    pub(super) steps: Vec<StepRecord>,
}

/// A table in one version.
#[derive(Debug)]
pub(super) struct TableSummary {
    pub(super) name: String,
    pub(super) changed_in: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) files: u64,
    /// Number of files that this version added.
    pub(super) added_files: u64,
}

impl Commits {
    /// Returns the summaries of the versions up to that of `newest`, the oldest first. Leaves out
    /// versions whose manifest cannot be read.
    pub(super) async fn up_to(&self, lake: &Storage, newest: &Manifest) -> Vec<Arc<Commit>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        let unknown: Vec<u64> = (1..newest.version).filter(|version| !known.contains_key(version)).collect();
        let read: Vec<Option<Commit>> = stream::iter(unknown)
            .map(|version| async move {
                match manifest_store::get(lake, version).await {
                    Ok(manifest) => manifest.as_ref().map(Commit::of),
                    // The other versions are still worth showing.
                    Err(error) => {
                        tracing::warn!(version, %error, "a version cannot be read; the pages leave it out");
                        None
                    }
                }
            })
            .buffered(CONCURRENT_READS)
            .collect()
            .await;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for commit in read.into_iter().flatten().chain([Commit::of(newest)]) {
            known.entry(commit.version).or_insert_with(|| Arc::new(commit));
        }
        known.range(..=newest.version).map(|(_, commit)| Arc::clone(commit)).collect()
    }
}

impl Commit {
    fn of(manifest: &Manifest) -> Self {
        let tables = manifest.tables.iter().map(|table| TableSummary {
            name: table.name.clone(),
            changed_in: table.changed_in,
            rows: table.rows(),
            bytes: table.bytes(),
            files: table.files.len() as u64,
            added_files: table.files.iter().filter(|file| file.added_in == manifest.version).count() as u64,
        });
        Self {
            version: manifest.version,
            run: manifest.run,
            committed_at: manifest.committed_at,
            elapsed_milliseconds: manifest.elapsed_milliseconds,
            engine: manifest.engine.clone(),
            counts: manifest.counts.clone(),
            requests: manifest.requests.clone(),
            tables: tables.collect(),
            steps: manifest.steps.clone(),
        }
    }

    /// Returns the counts of all sources together.
    pub(super) fn total(&self) -> SourceCounts {
        let mut total = SourceCounts::default();
        self.counts.values().for_each(|counts| total.add(counts));
        total
    }

    /// Returns the names of the tables that this commit changed.
    pub(super) fn changed_tables(&self) -> Vec<&str> {
        let changed = self.tables.iter().filter(|table| table.changed_in == self.version);
        changed.map(|table| table.name.as_str()).collect()
    }

    /// Returns the numbers of requests that read, write and list, as S3 bills them.
    pub(super) fn billed_requests(&self) -> (u64, u64, u64) {
        (
            self.requests.of(&[RequestClass::Get, RequestClass::Head]),
            self.requests.of(&[RequestClass::Put, RequestClass::Post]),
            self.requests.of(&[RequestClass::List]),
        )
    }
}
