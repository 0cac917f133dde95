//! How many requests to S3 a run will make, reckoned from what is new and what the lake holds.
//!
//! For one process; on workers, what stages pass to each other comes on top. What is not known before the data are read is
//! taken from the lake as it is: how many files a table has, and how much smaller than JSON staged rows are. Before the first
//! commit these two are guesses.

use std::collections::BTreeSet;

use lakewright_common::config::resolved::{Config, Rule, Table};
use lakewright_common::read::fetch::requests_for;
use lakewright_common::session::Storages;

use super::discover::Discovered;
use crate::lake::manifest::{DataFile, Manifest};
use crate::lake::publish;
use crate::model::Model;
use crate::price::RequestEstimate;

/// Files of a partitioned table of which there are none yet.
const GUESSED_FILES: u64 = 12;
/// How much smaller than JSON staged rows are, before any were staged.
const GUESSED_RATIO: u64 = 8;
/// A larger object is sent in parts of this size, and in two more requests.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// Encoded bytes of what one request for rows reads.
const ROW_GROUP_BYTES: u64 = 16 * 1024 * 1024;

/// What all requests of the run will come to, those among them that it made while it looked for new objects. `None` where
/// nothing lies on S3.
pub(crate) fn estimate(
    config: &Config,
    opened: &Storages,
    base: Option<&Manifest>,
    models: &[Model<'_>],
    discovered: &Discovered<'_>,
) -> Option<RequestEstimate> {
    let so_far = opened.requests();
    if so_far.is_empty() {
        return None;
    }
    let mut requests = RequestEstimate::of(&so_far);
    for new in discovered.sources.iter().filter(|new| new.source.url.scheme() == "s3") {
        requests.gets +=
            new.splits(&config.limits, config.limits.threads).iter().flatten().map(requests_for).sum::<u64>();
        requests.bytes_read += new.objects.iter().map(|object| object.bytes).sum::<u64>();
    }
    if config.lake.scheme() == "s3" && discovered.has_work() {
        of_lake(&mut requests, config, base, models, discovered);
    }
    Some(requests)
}

fn of_lake(
    requests: &mut RequestEstimate,
    config: &Config,
    base: Option<&Manifest>,
    models: &[Model<'_>],
    discovered: &Discovered<'_>,
) {
    let fresh: BTreeSet<&str> =
        discovered.sources.iter().filter(|new| !new.objects.is_empty()).map(|new| new.source.name.as_str()).collect();
    let mut built: BTreeSet<String> = BTreeSet::new();
    for model in models {
        if model.is_stale(base.and_then(|base| base.table(&model.table.name)), &fresh, &built) {
            built.insert(model.table.name.clone());
        }
    }
    let is_built = |model: &&Model<'_>| built.contains(&model.table.name);
    let readers =
        |reads: &dyn Fn(&Model<'_>) -> bool| models.iter().filter(is_built).filter(|m| reads(m)).count() as u64;

    for new in &discovered.sources {
        let source = &new.source.name;
        let state = base.and_then(|base| base.sources.get(source));
        let earlier = state.map(|state| Files::of(&state.staging)).unwrap_or_default();
        let ratio = state.map_or(GUESSED_RATIO, |state| state.totals.bytes / earlier.bytes.max(1)).max(1);
        let bytes = new.objects.iter().map(|object| object.bytes).sum::<u64>() / ratio;
        let staged = Files::evenly(new.splits(&config.limits, config.limits.threads).len() as u64, bytes);
        // The ledger's part is one more.
        requests.puts += staged.writes + u64::from(!new.objects.is_empty());
        requests.gets += (earlier.scan() + staged.scan()) * readers(&|model| model.sources.contains(source));
    }
    for model in models.iter().filter(is_built) {
        let table = model.table;
        let previous = base.and_then(|base| base.table(&table.name)).map(|state| Files::of(&state.files));
        let files = previous.unwrap_or_else(|| {
            let count = if table.partition_by.is_empty() { 1 } else { GUESSED_FILES };
            Files::evenly(count, 0)
        });
        let passes = readers(&|reader| reader.tables.contains(&table.name)) + checks(config, table);
        requests.puts += files.writes;
        requests.gets += files.scan() * passes;
    }
    let publish = publish::requests(base);
    for ((gets, puts), times) in [
        (publish.each_table, models.len() as u64),
        (publish.built_table, built.len() as u64),
        // The manifest is the further put.
        (publish.once, 1),
    ] {
        requests.gets += gets * times;
        requests.puts += puts * times;
    }
    requests.puts += 1;
}

/// Queries over a table before it is committed.
fn checks(config: &Config, table: &Table) -> u64 {
    let refers = |rule: &Rule| matches!(rule, Rule::References { to_table, .. } if *to_table == table.name);
    let referred = config.tables.iter().flat_map(|table| &table.checks).filter(|check| refers(&check.rule)).count();
    (table.checks.len() + referred) as u64 + u64::from(!table.key.is_empty())
}

/// Some files, and the requests that they take.
#[derive(Debug, Clone, Copy, Default)]
struct Files {
    count: u64,
    bytes: u64,
    writes: u64,
    /// Of their rows.
    reads: u64,
}

impl Files {
    fn of(files: &[DataFile]) -> Self {
        files.iter().fold(Self::default(), |sum, file| sum.and(file.written.bytes))
    }

    fn evenly(count: u64, bytes: u64) -> Self {
        (0..count).fold(Self::default(), |sum, _| sum.and(bytes / count.max(1)))
    }

    /// Requests for all rows, footers first.
    fn scan(self) -> u64 {
        self.count + self.reads
    }

    fn and(self, bytes: u64) -> Self {
        let writes = if bytes > PART_BYTES { bytes.div_ceil(PART_BYTES) + 2 } else { 1 };
        Self {
            count: self.count + 1,
            bytes: self.bytes + bytes,
            writes: self.writes + writes,
            reads: self.reads + bytes.div_ceil(ROW_GROUP_BYTES).max(1),
        }
    }
}
