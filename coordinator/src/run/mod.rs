//! One run, from the sources to the committed lake: four calls that read like the README.
//!
//! ```text
//! ①② discover ─► ③④⑤ ingest ─► ⑥⑦ build ─► check ─► ⑧⑨ commit
//!  new objects    staging and     tables of    keys,     one manifest,
//!  of each source quarantine      each model   checks    then the Delta logs
//! ```
//!
//! Nothing is visible before the manifest's put. A run that dies leaves files that no manifest names; one that fails deletes
//! them where it may.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use datafusion::prelude::SessionContext;
use lakewright_common::config::resolved::Config;
use lakewright_common::error::Result;
use lakewright_common::process::failpoint;
use lakewright_common::process::systemd;
use lakewright_common::session::Storages;
use lakewright_common::session::progress::ReadProgress;
use lakewright_common::storage::s3::requests::RequestCounts;
use uuid::Uuid;

use crate::engine::Engine;
use crate::lake::manifest::Manifest;
use crate::lake::publish::{self, Published};
use crate::lake::store;
use crate::model::{self, Model};
use crate::open;
use crate::price::{self, RequestEstimate};
use crate::progress::Progress;
use discover::Discovered;
use skipped::SkippedObjects;
use summary::Summary;

/// ①② Which objects are new.
pub(crate) mod discover;
/// Objects whose end cannot be reached as records.
pub(crate) mod damage;
/// What is not taken in.
pub(crate) mod skipped;
/// Whether models, keys and checks can work, before anything does.
pub(crate) mod validate;
/// Expressions that fail on every row.
mod probe;
/// ③④⑤ New objects into staging files and quarantine.
mod ingest;
/// Line numbers of records that were read from the middle of an object.
mod lines;
/// ⑥⑦ Each model's query into the files of its table.
mod build;
/// Keys and checks, before anything is visible.
mod data_checks;
/// Whether what workers reported is on storage.
mod written;
/// ⑧⑨ One manifest, then the Delta logs.
mod commit;
/// What a run that failed had written.
mod clean_up;
/// What a run will ask of S3.
pub(crate) mod estimate;
/// What a run came to, for the user.
pub(crate) mod summary;

/// What every step of a run needs.
pub(crate) struct RunContext<'a> {
    pub(crate) config: &'a Config,
    pub(crate) opened: &'a Storages,
    /// Plans queries for the engine.
    pub(crate) session: SessionContext,
    pub(crate) engine: Engine,
    pub(crate) progress: &'a Progress,
    /// Names the run and its files.
    pub(crate) run: Uuid,
    /// The manifest that this run would put.
    pub(crate) version: u64,
    /// The newest manifest when the run began.
    pub(crate) base: Option<Manifest>,
    /// Tables that the run has started to write.
    written: Mutex<Vec<String>>,
    /// Whether the manifest may have been put: from the first try until it is known that another run was first.
    may_be_committed: AtomicBool,
}

impl RunContext<'_> {
    /// Remembers that files of a table are written from now on.
    fn starts_to_write(&self, table: &str) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).push(table.to_owned());
    }

    fn written_tables(&self) -> Vec<String> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What this process and its workers have requests of buckets.
    pub(crate) fn requests(&self) -> RequestCounts {
        let mut requests = self.opened.requests();
        requests.add(&self.engine.requests());
        requests
    }
}

/// What a run came to.
pub(crate) enum Outcome {
    Committed(Summary),
    NothingNew {
        skipped: SkippedObjects,
        /// Whether the lake has a version.
        is_begun: bool,
    },
}

/// Runs the whole pipeline once; the tables named by `rebuild` are built even if nothing below them changed.
///
/// # Errors
/// As each step says; nothing of the run is visible then.
pub(crate) async fn run(config: &Config, rebuild: &[String], progress: &Progress) -> Result<Outcome> {
    let started = Instant::now();
    let opened = open::open_or_create(config).await?;
    let reads = Arc::new(ReadProgress::default());
    let run = Uuid::now_v7();
    // Before anything else, so that workers find it while the sources are listed.
    let engine = Engine::start(config, &opened, run, &reads).await?;
    systemd::ready();
    let session = open::session(config, &opened, config.limits.threads, Arc::clone(&reads))?;
    let mut models = model::plan_models(&session, config)?;
    model::ask_for(&mut models, rebuild)?;
    let empty = open::session(config, &opened, config.limits.threads, Arc::default())?;
    validate::validate(&empty, config, &models).await?;
    let base = store::latest(&opened.lake).await?;
    // What a crash left behind after its put comes first: Delta readers see that commit from now on. A log of another
    // history, or one that another program changed, stops the run before it does any work.
    let tables: Vec<&str> = models.iter().map(|model| model.table.name.as_str()).collect();
    publish::prepare(&opened.lake, base.as_ref(), &tables, rebuild).await?;
    failpoint::reach("run.before_discover");
    progress.step("discover", None);
    let mut discovered = discover::new_objects(config, &opened, base.as_ref(), &models).await?;
    if !discovered.has_work() {
        let is_begun = base.is_some();
        return Ok(Outcome::NothingNew { skipped: discovered.skipped, is_begun });
    }
    let expected = estimate::estimate(config, &opened, base.as_ref(), &models, &discovered);
    let sources = discovered.sources.iter().map(|new| (new.source.name.as_str(), new.objects.as_slice()));
    engine.admit_workers(&opened, sources).await?;
    let session = engine.adapt(session).await?;
    let version = base.as_ref().map_or(1, |base| base.version + 1);
    let (written, may_be_committed) = (Mutex::default(), AtomicBool::new(false));
    let context = RunContext {
        config,
        opened: &opened,
        session,
        engine,
        progress,
        run,
        version,
        base,
        written,
        may_be_committed,
    };

    let outcome = steps(&context, &models, &mut discovered, &reads, started).await;
    let exchanged = context.engine.finish().await;
    if outcome.is_err() && !context.may_be_committed.load(Ordering::Relaxed) {
        clean_up::delete_files(&context).await;
    }
    let (outcome, mut warnings) = outcome?;
    let Some((manifest, published)) = outcome else {
        return Ok(Outcome::NothingNew { skipped: discovered.skipped, is_begun: context.base.is_some() });
    };
    warnings.extend(discovered.skipped.warnings());
    Ok(Outcome::Committed(Summary::new(
        &manifest,
        published,
        warnings,
        exchanged,
        context.requests(),
        expected.map(|expected| price::table(expected, Some(RequestEstimate::of(&context.requests())), &config.prices)),
        started.elapsed(),
    )))
}

/// The new lake with what was published of it, and what checks warn of. `None` if every new object was skipped, so
/// that there is nothing to commit.
async fn steps(
    context: &RunContext<'_>,
    models: &[Model<'_>],
    discovered: &mut Discovered<'_>,
    reads: &Arc<ReadProgress>,
    started: Instant,
) -> Result<(Option<(Manifest, Published)>, Vec<String>)> {
    failpoint::reach("run.before_ingest");
    let staged = ingest::ingest(context, discovered, reads).await?;
    discovered.skipped.add(&staged);
    if !discovered.has_changed_models && staged.iter().all(|source| source.entries.is_empty()) {
        return Ok((None, vec![]));
    }
    failpoint::reach("run.before_build");
    let tables = build::build(context, models, &staged).await?;
    failpoint::reach("run.before_check");
    let warnings = data_checks::check(context, models, &tables).await?;
    let committed = commit::commit(context, &staged, tables, started).await?;
    Ok((Some(committed), warnings))
}
