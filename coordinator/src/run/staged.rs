//! What a run has staged of one source: the files, the ledger entries and the counts.

use lakewright_common::config::resolved::Source;
use lakewright_common::error::{Error, Result};
use lakewright_common::read::scan_rows::ReadReport;
use lakewright_common::read::tally::ObjectTally;
use lakewright_common::report::{TaskReport, WrittenFile};

use super::damage::DamagedObject;
use crate::lake::column::Columns;
use crate::lake::ledger::LedgerEntry;
use crate::lake::manifest::SourceCounts;

/// Files, ledger entries and counts of one source that a run staged.
pub(crate) struct StagedSource<'a> {
    pub(crate) source: &'a Source,
    pub(crate) columns: Columns,
    pub(crate) staging: Vec<WrittenFile>,
    pub(crate) quarantine: Vec<WrittenFile>,
    pub(crate) entries: Vec<LedgerEntry>,
    pub(crate) counts: SourceCounts,
    /// Decompressed bytes of the objects.
    pub(crate) read_bytes: u64,
    /// Part of `read_bytes` in which no record was found.
    pub(crate) unframed_bytes: u64,
    /// Damaged objects, which were skipped or kept in part as the source's `on_damaged` says.
    pub(crate) damaged: Vec<DamagedObject>,
    /// URLs of objects that changed while they were read. The next run reads them again.
    pub(crate) changing: Vec<String>,
}

impl<'a> StagedSource<'a> {
    /// Returns a source of which nothing is staged yet.
    pub(super) fn new(source: &'a Source, columns: Columns) -> Self {
        Self {
            source,
            columns,
            staging: vec![],
            quarantine: vec![],
            entries: vec![],
            counts: SourceCounts::default(),
            read_bytes: 0,
            unframed_bytes: 0,
            damaged: vec![],
            changing: vec![],
        }
    }

    /// Adds the files of a task's reports, and its tallies to `tallies`.
    ///
    /// # Errors
    /// Internal, for a report that is not of an ingest.
    pub(super) fn add_reports(&mut self, reports: Vec<TaskReport>, tallies: &mut Vec<ObjectTally>) -> Result<()> {
        for report in reports {
            match report {
                TaskReport::Staged(file) => self.staging.push(file),
                TaskReport::Quarantined(file) => self.quarantine.push(file),
                TaskReport::Read(ReadReport::Object(tally)) => {
                    self.read_bytes += tally.bytes;
                    self.unframed_bytes += tally.unframed_bytes;
                    tallies.push(tally);
                }
                TaskReport::Read(ReadReport::UnknownFields(fields)) => {
                    for (name, count) in fields {
                        *self.counts.unknown_fields.entry(name).or_default() += count;
                    }
                }
                TaskReport::Table(_) | TaskReport::Spooled(_) => {
                    return Err(Error::internal("a scan returned a report of another kind"));
                }
            }
        }
        Ok(())
    }

    /// Sums up the ledger entries.
    pub(super) fn count(&mut self) {
        let counts = &mut self.counts;
        counts.objects = self.entries.len() as u64;
        for entry in &self.entries {
            counts.bytes += entry.object.bytes;
            counts.records += entry.records;
            counts.staged += entry.staged;
            counts.quarantined += entry.quarantined;
        }
    }

    /// Checks that the files have as many rows as the objects account for. `ledger::entries` has
    /// checked the same for each object.
    ///
    /// # Errors
    /// Internal, if they do not.
    pub(super) fn check_rows(&self) -> Result<()> {
        let rows = |files: &[WrittenFile]| files.iter().map(|file| file.rows).sum::<u64>();
        let (in_staging, in_quarantine) = (rows(&self.staging), rows(&self.quarantine));
        if (in_staging, in_quarantine) != (self.counts.staged, self.counts.quarantined) {
            return Err(Error::internal(format!(
                "source `{}`: files hold {in_staging} staged and {in_quarantine} quarantined rows, objects account for {} and {}",
                self.source.name, self.counts.staged, self.counts.quarantined
            )));
        }
        Ok(())
    }
}
