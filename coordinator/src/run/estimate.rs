//! Estimates the requests to S3 that a run will make, from the new objects and the lake.
//!
//! Two facts are unknown before the data is read: the number of files of a table, and the ratio of
//! JSON bytes to staged bytes. Both are taken from the last version of the lake. Before the first
//! commit they are assumptions, and the estimate names each partitioned table for which it assumes
//! a number of files.
//!
//! On a cluster, the estimate includes the requests by which workers prove that they can read the
//! storages, and the requests that verify the files of workers. It does not include the requests of
//! exchanges between stages, because their number depends on the workers that join.
//! It also leaves out the queries for repeated keys, because their number depends on the data.

use std::collections::BTreeSet;

use lakewright_common::config::resolved::{Config, Limits, Rule, Table};
use lakewright_common::read::fetch::requests_for;
use lakewright_common::read::reader::passes;
use lakewright_common::read::split::Split;
use lakewright_common::session::Storages;
use lakewright_common::write::file::UPLOAD_BUFFER_BYTES;
use lakewright_common::write::properties::ROW_GROUP_BYTES;

use super::build;
use super::discover::{Discovered, NewObjects};
use crate::lake::manifest::{DataFile, Manifest};
use crate::lake::publish;
use crate::model::Model;
use crate::price::{AssumedFiles, BilledRequests, RequestEstimate};

/// Assumed number of partition values of a table that was never built.
const ASSUMED_PARTITION_VALUES: u64 = 12;
/// Assumed number of JSON bytes per staged byte, before the first commit.
const ASSUMED_RATIO: u64 = 8;

/// Returns the expected total of a run's requests. This includes the requests that were already
/// made to discover the new objects. Returns `None` if nothing is on S3.
pub(crate) fn estimate(
    config: &Config,
    opened: &Storages,
    base: Option<&Manifest>,
    models: &[Model<'_>],
    discovered: &Discovered<'_>,
) -> Option<RequestEstimate> {
    let so_far = opened.requests();
    // Each S3 storage was listed or read before, so no request means no storage on S3.
    if so_far.is_empty() {
        return None;
    }
    let mut estimate =
        RequestEstimate { requests: BilledRequests::of(&so_far), excludes_exchanges: false, assumed: vec![] };
    let sources = Sources::new(config, base, discovered);
    for new in discovered.sources.iter().filter(|new| is_on_s3(new)) {
        // Sources and lake can be on different storages. Only S3 bills requests.
        let passes = |bytes| passes(new.source, bytes);
        let gets = |split: &Split| requests_for(split) * passes(split.object.bytes);
        estimate.requests.gets += splits(new, &config.limits).iter().flatten().map(gets).sum::<u64>();
        estimate.requests.bytes_read += new.objects.iter().map(|it| it.bytes * passes(it.bytes)).sum::<u64>();
    }
    if config.lake.scheme() == "s3" && discovered.has_work() {
        let run = Run { config, base, models, built: built_tables(base, models, discovered), sources };
        run.add_staging(&mut estimate);
        run.add_tables(&mut estimate);
        run.add_commit(&mut estimate);
    }
    if discovered.has_work() {
        add_registration(&mut estimate, config, discovered);
    }
    Some(estimate)
}

fn is_on_s3(new: &NewObjects<'_>) -> bool {
    new.source.url.scheme() == "s3"
}

/// Plans the scan tasks of a source as for a run in one process. Returns the splits of each task.
fn splits(new: &NewObjects<'_>, limits: &Limits) -> Vec<Vec<Split>> {
    new.splits(limits, limits.threads)
}

/// Returns the tables that the run will build.
fn built_tables(base: Option<&Manifest>, models: &[Model<'_>], discovered: &Discovered<'_>) -> BTreeSet<String> {
    let with_objects = discovered.sources.iter().filter(|new| !new.objects.is_empty());
    let fresh: BTreeSet<&str> = with_objects.map(|new| new.source.name.as_str()).collect();
    let mut built = BTreeSet::new();
    for model in models {
        // The same decision as in the build step, with new objects in place of new rows.
        if model.is_stale(base.and_then(|base| base.table(&model.table.name)), &fresh, &built) {
            built.insert(model.table.name.clone());
        }
    }
    built
}

/// Staging files of one source.
struct StagingFiles<'a> {
    source: &'a str,
    has_new_objects: bool,
    /// Files of earlier runs.
    earlier: Files,
    /// Files of this run, with estimated sizes.
    new: Files,
}

struct Sources<'a>(Vec<StagingFiles<'a>>);

impl<'a> Sources<'a> {
    fn new(config: &Config, base: Option<&Manifest>, discovered: &Discovered<'a>) -> Self {
        let staging = |new: &NewObjects<'a>| {
            let state = base.and_then(|base| base.sources.get(&new.source.name));
            let earlier = state.map(|state| Files::of(&state.staging)).unwrap_or_default();
            // At least 1, because the division may round to 0.
            let ratio = state.map_or(ASSUMED_RATIO, |state| state.totals.bytes / earlier.bytes.max(1)).max(1);
            let bytes = new.objects.iter().map(|object| object.bytes).sum::<u64>() / ratio;
            let tasks = splits(new, &config.limits).len() as u64;
            let has_new_objects = !new.objects.is_empty();
            StagingFiles { source: &new.source.name, has_new_objects, earlier, new: Files::evenly(tasks, bytes) }
        };
        Self(discovered.sources.iter().map(staging).collect())
    }

    /// Returns the expected size in bytes of the staging files that a model reads. The build step
    /// computes the size in the same way.
    fn input_bytes(&self, model: &Model<'_>) -> u64 {
        let read = self.0.iter().filter(|staging| build::reads_source(model, staging.source));
        read.map(|staging| staging.earlier.bytes + staging.new.bytes).sum()
    }
}

/// Input for the estimate of a run whose lake is on S3.
struct Run<'a> {
    config: &'a Config,
    base: Option<&'a Manifest>,
    models: &'a [Model<'a>],
    /// Names of the tables that the run builds.
    built: BTreeSet<String>,
    sources: Sources<'a>,
}

impl Run<'_> {
    fn built_models(&self) -> impl Iterator<Item = &Model<'_>> {
        self.models.iter().filter(|model| self.built.contains(&model.table.name))
    }

    /// Adds the requests for staging files, for models that read them, and for the ledger.
    fn add_staging(&self, estimate: &mut RequestEstimate) {
        for StagingFiles { source, has_new_objects, earlier, new } in &self.sources.0 {
            // Each model reads the staging files of its sources once.
            let readers = self.built_models().filter(|model| model.sources.contains(*source)).count();
            // A source with new objects adds one file to its ledger.
            estimate.requests.puts += new.writes + u64::from(*has_new_objects);
            estimate.requests.gets += (earlier.scan() + new.scan()) * readers as u64 + self.verified(*new);
        }
    }

    /// Adds the requests for the files of tables, and for models and checks that read them.
    fn add_tables(&self, estimate: &mut RequestEstimate) {
        for model in self.built_models() {
            let table = model.table;
            let previous = self.base.and_then(|base| base.table(&table.name)).map(|state| Files::of(&state.files));
            // A table that exists is expected to have as many files as before.
            let files = previous.unwrap_or_else(|| Files::evenly(self.assumed_files(model), 0));
            let readers = self.built_models().filter(|reader| reader.tables.contains(&table.name)).count();
            let Passes { rows, footers } = check_passes(self.config, table);
            let reads = |files: Files| files.scan() * (readers as u64 + rows) + files.count * footers;
            estimate.requests.puts += files.writes;
            estimate.requests.gets += reads(files) + self.verified(files);
            if previous.is_none() && !table.partition_by.is_empty() {
                let one = Files::evenly(1, 0);
                estimate.assumed.push(AssumedFiles {
                    table: table.name.clone(),
                    files: files.count,
                    gets_per_file: reads(one) + self.verified(one),
                    puts_per_file: one.writes,
                });
            }
        }
    }

    /// Returns the assumed number of files of a table that was never built.
    fn assumed_files(&self, model: &Model<'_>) -> u64 {
        let values = if model.table.partition_by.is_empty() { 1 } else { ASSUMED_PARTITION_VALUES };
        let limits = &self.config.limits;
        // Without gathering, each task writes one file per partition value.
        let is_gathered = build::is_gathered(self.sources.input_bytes(model), limits);
        let tasks = if is_gathered { 1 } else { limits.threads as u64 };
        values * tasks
    }

    /// Returns the number of requests that verify `files`: one per file if workers write them,
    /// otherwise 0.
    fn verified(&self, files: Files) -> u64 {
        if self.config.cluster.is_some() { files.count } else { 0 }
    }

    /// Adds the requests for the manifest and the Delta logs.
    fn add_commit(&self, estimate: &mut RequestEstimate) {
        let (models, built) = (self.models.len() as u64, self.built.len() as u64);
        let requests = &mut estimate.requests;
        let publish = publish::requests(self.base);
        for (each, times) in [(publish.each_table, models), (publish.built_table, built), (publish.once, 1)] {
            requests.gets += each.gets * times;
            requests.puts += each.puts_and_lists * times;
        }
        // The put of the manifest.
        requests.puts += 1;
    }
}

/// Adds the requests by which workers prove that they can read the storages of the run.
///
/// The coordinator writes a probe object into the lake, and another into the spool if that is a
/// different storage. At the end it lists both storages to delete the objects of the run. Each
/// worker opens every storage, and reads the length and the content of one object in it.
fn add_registration(estimate: &mut RequestEstimate, config: &Config, discovered: &Discovered<'_>) {
    let Some(cluster) = &config.cluster else { return };
    let own_spool = cluster.spool.iter().filter(|spool| **spool != config.lake);
    let written = std::iter::once(&config.lake).chain(own_spool).filter(|url| url.scheme() == "s3").count() as u64;
    let sources = discovered.sources.iter().filter(|new| is_on_s3(new));
    // One request opens a storage. Two more read the length and the content of an object, if there
    // is one.
    let per_worker = 3 * written + sources.map(|new| if new.objects.is_empty() { 1 } else { 3 }).sum::<u64>();
    estimate.excludes_exchanges = written > 0;
    estimate.requests.puts += 2 * written;
    estimate.requests.gets += per_worker * cluster.min_workers as u64;
}

/// Numbers of queries that read a table before it is committed, to check keys and data.
#[derive(Debug, PartialEq, Eq)]
struct Passes {
    /// Number of queries that read rows.
    rows: u64,
    /// Number of queries that read only footers, because the statistics there answer them.
    footers: u64,
}

fn check_passes(config: &Config, table: &Table) -> Passes {
    let is_in_statistics = |rule: &Rule| matches!(rule, Rule::NotNull { .. } | Rule::Range { .. });
    let refers = |rule: &Rule| matches!(rule, Rule::References { to_table, .. } if *to_table == table.name);
    let referred = config.tables.iter().flat_map(|table| &table.checks).filter(|check| refers(&check.rule)).count();
    let footers = table.checks.iter().filter(|check| is_in_statistics(&check.rule)).count();
    // All columns of a key are tested by one query.
    let rows = table.checks.len() - footers + referred + usize::from(!table.key.is_empty());
    Passes { rows: rows as u64, footers: footers as u64 }
}

/// A number of Parquet files, and the requests that write and read them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Files {
    count: u64,
    bytes: u64,
    writes: u64,
    /// Number of requests that read row groups. Requests that read footers are not counted.
    reads: u64,
}

impl Files {
    fn of(files: &[DataFile]) -> Self {
        files.iter().fold(Self::default(), |sum, file| sum.and(file.written.bytes))
    }

    /// Returns `count` files of equal size, with `bytes` bytes in total.
    fn evenly(count: u64, bytes: u64) -> Self {
        (0..count).fold(Self::default(), |sum, _| sum.and(bytes / count.max(1)))
    }

    /// Returns the number of requests that read all rows: one per footer and one per row group.
    fn scan(self) -> u64 {
        self.count + self.reads
    }

    fn and(self, bytes: u64) -> Self {
        let (part, row_group) = (UPLOAD_BUFFER_BYTES as u64, ROW_GROUP_BYTES as u64);
        // A larger object is uploaded in parts, with one request to start and one to complete it.
        let writes = if bytes > part { bytes.div_ceil(part) + 2 } else { 1 };
        Self {
            count: self.count + 1,
            bytes: self.bytes + bytes,
            writes: self.writes + writes,
            // A file has at least one row group, also if its size is not known yet and counted as
            // 0.
            reads: self.reads + bytes.div_ceil(row_group).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_written_in_parts_and_read_by_row_groups() {
        let small = Files::evenly(1, 1_000);
        assert_eq!((small.writes, small.scan()), (1, 2));
        let large = Files::evenly(2, 4 * ROW_GROUP_BYTES as u64);
        let parts = (2 * ROW_GROUP_BYTES / UPLOAD_BUFFER_BYTES) as u64;
        assert_eq!((large.writes, large.scan()), (2 * (parts + 2), 2 * (1 + 2)));
        assert_eq!(Files::evenly(0, 0), Files::default());
    }
}
