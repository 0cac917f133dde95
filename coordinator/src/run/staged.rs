//! Result of staging one source: the files, the ledger entries and the counts.

use lakewright_common::config::resolved::Source;
use lakewright_common::error::{Error, Result};
use lakewright_common::read::field_counts::FieldCounts;
use lakewright_common::read::scan_rows::ReadReport;
use lakewright_common::read::tally::ObjectTally;
use lakewright_common::report::{TaskReport, WrittenFile};

use super::damage::DamagedObject;
use crate::lake::column::Columns;
use crate::lake::ledger::LedgerEntry;
use crate::lake::manifest::SourceCounts;

/// Result of staging one source in a run: the files, the ledger entries and the counts.
pub(crate) struct StagedSource<'a> {
    pub(crate) source: &'a Source,
    pub(crate) columns: Columns,
    pub(crate) staging: Vec<WrittenFile>,
    pub(crate) quarantine: Vec<WrittenFile>,
    pub(crate) entries: Vec<LedgerEntry>,
    pub(crate) counts: SourceCounts,
    pub(crate) fields: FieldCounts,
    /// Decompressed size of the objects in bytes.
    pub(crate) read_bytes: u64,
    /// Number of decompressed bytes that belong to no record.
    pub(crate) unframed_bytes: u64,
    /// Damaged objects, which were skipped or kept in part, depending on the source's `on_damaged`.
    pub(crate) damaged: Vec<DamagedObject>,
    /// URLs of objects that changed while they were read. The next run reads them again.
    pub(crate) changing: Vec<String>,
}

impl<'a> StagedSource<'a> {
    /// Creates an empty result for a source.
    pub(super) fn new(source: &'a Source, columns: Columns) -> Self {
        Self {
            source,
            columns,
            staging: vec![],
            quarantine: vec![],
            entries: vec![],
            counts: SourceCounts::default(),
            fields: FieldCounts::default(),
            read_bytes: 0,
            unframed_bytes: 0,
            damaged: vec![],
            changing: vec![],
        }
    }

    /// Adds the files and counts that a task reported. Appends the tallies, which are the counts of
    /// each split, to `tallies`.
    ///
    /// # Errors
    /// An internal error for a report of a kind that a scan never returns, such as the file of a
    /// table.
    pub(super) fn add_reports(&mut self, reports: Vec<TaskReport>, tallies: &mut Vec<ObjectTally>) -> Result<()> {
        for report in reports {
            match report {
                TaskReport::Staged(file) => self.staging.push(file),
                TaskReport::Quarantined(file) => self.quarantine.push(file),
                TaskReport::Read(ReadReport::Object(tally)) => {
                    self.read_bytes += tally.bytes;
                    self.unframed_bytes += tally.unframed_bytes;
                    self.counts.templated += tally.templated;
                    tallies.push(tally);
                }
                TaskReport::Read(ReadReport::Fields(fields)) => self.fields.add(fields),
                TaskReport::Table(_) | TaskReport::Spooled(_) => {
                    return Err(Error::internal("a scan returned a report of another kind"));
                }
            }
        }
        Ok(())
    }

    /// Sums the counts of the ledger entries and the fields into `counts`.
    pub(super) fn count(&mut self) {
        let counts = &mut self.counts;
        counts.unknown_fields = self.fields.undeclared.clone();
        counts.nulled_values = self.fields.nulled.clone();
        counts.null_records = self.fields.null_records;
        counts.empty_fields = self.fields.empty().map(str::to_owned).collect();
        counts.objects = self.entries.len() as u64;
        for entry in &self.entries {
            counts.bytes += entry.object.bytes;
            counts.records += entry.records;
            counts.staged += entry.staged;
            counts.quarantined += entry.quarantined;
        }
    }

    /// Verifies that the files have as many rows as the ledger entries count. `ledger::entries` has
    /// already verified for each object that every record was staged or quarantined.
    ///
    /// # Errors
    /// An internal error if the numbers differ.
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
