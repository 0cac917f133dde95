//! Runs the processes of a schedule and injects its faults.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Instant;

use super::answers::{CONFIG, CONSISTENT, Input, MODELS, QUESTION};
use super::plan::{Event, Random, Round, Schedule, Storage};
use crate::support::cluster::{Worker, free_port};
use crate::support::disk::SmallDisk;
use crate::support::link::Link;
use crate::support::process::Process;
use crate::support::s3::TestBucket;
use crate::support::{Done, Lake};

/// Size of the small disk, enough for every version of a schedule.
const DISK_KILOBYTES: u64 = 8 * 1024;
/// Options of a worker, so that several fit on this machine.
const WORKER: &[&str] = &["--memory", "256MB"];
/// Exit codes of a run that met a fault: storage, conflict, workers, interrupted, terminated.
const EXCUSES: &[i32] = &[3, 4, 5, 130, 143];
/// Paths where distributions install the library that shifts the clock of a process.
const FAKETIME: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
];

static CLOCK: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let named = std::env::var_os("LAKEWRIGHT_FAKETIME").map(PathBuf::from);
    named.or_else(|| FAKETIME.iter().map(PathBuf::from).find(|path| path.is_file()))
});

/// Whether this user may mount a disk.
static CAN_MOUNT: LazyLock<bool> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    SmallDisk::at(&folder.path().join("disk"), 64).is_some()
});

/// Returns the faults that cannot be injected on this machine.
pub(super) fn missing() -> Vec<&'static str> {
    let mut missing = vec![];
    if CLOCK.is_none() {
        missing.push("clock jumps: no libfaketime here (`apt-get install libfaketime`, or LAKEWRIGHT_FAKETIME)");
    }
    if !*CAN_MOUNT {
        missing.push("full disks: this user may not mount a tmpfs");
    }
    missing
}

/// Processes and storage of a schedule. Fields are dropped in this order: workers before what they
/// use, the disk before the folder of its mount point.
pub(super) struct World {
    workers: Vec<Worker>,
    links: Vec<Link>,
    disk: Option<SmallDisk>,
    lake: Option<Lake>,
    bucket: Option<TestBucket>,
    input: Input,
    random: Random,
    /// Versions that a run printed as committed.
    committed: Vec<u64>,
}

/// A process of a round. Its kind determines how it may end.
enum Side {
    Run(Process),
    Query(Process),
    Vacuum(Process),
}

impl World {
    pub(super) fn new(schedule: &Schedule) -> Self {
        let mut files = vec![("lake.toml", CONFIG)];
        files.extend(MODELS);
        files.extend([("in/events/.keep", ""), ("in/people/.keep", "")]);
        let mut lake = Lake::of(&files);
        let mut bucket = None;
        if schedule.storage == Storage::S3 {
            let here = TestBucket::own();
            let bounds = "\n[storage.\"s3://bucket\"]\nconnect_timeout = \"1s\"\ntimeout = \"2s\"\nattempts = 4\nretry_timeout = \"10s\"\n";
            lake.edit("lake.toml", "[limits]", &format!("{bounds}\n[limits]"));
            lake = lake.on_s3(&here);
            bucket = Some(here);
        }
        let disk = (schedule.storage == Storage::SmallDisk && *CAN_MOUNT)
            .then(|| SmallDisk::at(&lake.path("lake"), DISK_KILOBYTES).expect("it could be mounted before"));
        // The second configuration is for runs without workers.
        std::fs::copy(lake.path("lake.toml"), lake.path("alone.toml")).unwrap();
        let port = free_port();
        if schedule.workers > 0 {
            lake = lake.on_open_cluster(port, 1);
            lake.edit("lake.toml", "worker_timeout = \"20s\"", "worker_timeout = \"3s\"");
            lake.edit("lake.toml", "lost_after = \"1500ms\"", "lost_after = \"800ms\"");
        }
        let links: Vec<_> = (0..schedule.workers).map(|_| Link::to(port)).collect();
        let mut world = Self {
            workers: vec![],
            links,
            disk,
            lake: Some(lake),
            bucket,
            input: Input::default(),
            random: Random::new(!schedule.seed),
            committed: vec![],
        };
        world.workers = (0..schedule.workers).map(|worker| world.worker(worker, None)).collect();
        world
    }

    fn lake(&self) -> &Lake {
        self.lake.as_ref().expect("it is there until it is kept")
    }

    /// Keeps the folder of the lake, and returns its path.
    pub(super) fn keep(&mut self) -> PathBuf {
        let lake = self.lake.take().expect("it is kept once");
        let folder = lake.path("");
        std::mem::forget(lake);
        std::mem::forget(self.disk.take());
        if let Some(bucket) = &self.bucket {
            bucket.server().heal();
            bucket.download(&folder.join("bucket"));
        }
        folder
    }

    /// Returns the logs of the current workers.
    pub(super) fn logs(&self) -> String {
        let logs = self.workers.iter().zip(0..).map(|(worker, number)| format!("worker {number}:\n{}", worker.log()));
        logs.collect::<Vec<_>>().join("\n")
    }

    fn worker(&self, number: usize, point: Option<&str>) -> Worker {
        let mut environment = self.lake().environment();
        environment.extend(point.map(|point| ("LAKEWRIGHT_FAILPOINT", point)));
        Worker::start_with(self.links[number].port, &format!("worker-{number}"), WORKER, &environment)
    }

    /// Returns a coordinator command with a configuration. `alone.toml` has no workers.
    fn command(&self, config: &str, arguments: &[&str]) -> Command {
        self.lake().command_with(config, arguments)
    }

    /// Plays one round until all of its processes have ended.
    pub(super) fn play(&mut self, round: &Round) {
        for _ in 0..round.objects {
            self.deliver();
        }
        if let Some(bucket) = &self.bucket {
            round.storage.iter().for_each(|fault| bucket.server().plan(fault.clone()));
        }
        let mut first = self.command("lake.toml", &["run"]);
        first.envs(round.coordinator_at.iter().map(|point| ("LAKEWRIGHT_FAILPOINT", point)));
        if let (Some(library), true) = (&*CLOCK, round.clock != 0) {
            first.env("LD_PRELOAD", library).env("FAKETIME", format!("{:+}h", round.clock));
            first.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let started = Instant::now();
        let mut sides = vec![Side::Run(Process::start(first))];
        for (time, event) in &round.events {
            std::thread::sleep(time.saturating_sub(started.elapsed()));
            self.happen(event, &mut sides);
        }
        self.stop_faults(&sides);
        for side in sides {
            self.judge(side);
        }
        for number in 0..self.workers.len() {
            self.workers[number] = self.worker(number, None);
        }
    }

    fn deliver(&mut self) {
        for (key, content) in self.input.next(&mut self.random) {
            match &self.bucket {
                Some(bucket) => bucket.server().put("bucket", &bucket.key(&format!("in/{key}")), content),
                None => self.lake().write(&format!("in/{key}"), content.as_bytes()),
            }
        }
    }

    fn happen(&mut self, event: &Event, sides: &mut Vec<Side>) {
        match event {
            Event::Signal(signal) => match &sides[0] {
                Side::Run(run) => run.signal(signal),
                Side::Query(_) | Side::Vacuum(_) => unreachable!("the first one is a run"),
            },
            Event::SignalWorker(worker, signal) => self.workers[*worker].signal_if_alive(signal),
            Event::ReplaceWorker(worker, point) => self.workers[*worker] = self.worker(*worker, point.as_deref()),
            Event::Cut(worker) => self.links[*worker].cut(),
            Event::Mend(worker) => self.links[*worker].mend(),
            Event::SlowDown(worker, milliseconds) => {
                self.links[*worker].slow_down(std::time::Duration::from_millis(*milliseconds));
            }
            Event::Fill(pages) => self.disk.iter().for_each(|disk| disk.fill(*pages)),
            Event::Free => self.disk.iter().for_each(SmallDisk::free),
            Event::Heal => self.bucket.iter().for_each(|bucket| bucket.server().heal()),
            Event::Query => {
                let query = self.command("alone.toml", &["query", CONSISTENT, "--json"]);
                sides.push(Side::Query(Process::start(query)));
            }
            Event::Vacuum => {
                sides.push(Side::Vacuum(Process::start(self.command("alone.toml", &["vacuum", "--delete"]))));
            }
            Event::Compete => sides.push(Side::Run(Process::start(self.command("alone.toml", &["run"])))),
        }
    }

    /// Stops all faults. Only their consequences remain.
    fn stop_faults(&self, sides: &[Side]) {
        self.links.iter().for_each(Link::mend);
        self.links.iter().for_each(|link| link.slow_down(std::time::Duration::ZERO));
        self.disk.iter().for_each(SmallDisk::free);
        self.bucket.iter().for_each(|bucket| bucket.server().heal());
        self.workers.iter().for_each(|worker| worker.signal_if_alive("CONT"));
        for side in sides {
            let (Side::Run(process) | Side::Query(process) | Side::Vacuum(process)) = side;
            process.signal("CONT");
        }
    }

    /// Waits for a process of a round. It must end within the bound, with an exit code that the
    /// faults explain.
    fn judge(&mut self, side: Side) {
        match side {
            Side::Run(process) => self.judge_run(&process.end_awake()),
            Side::Query(process) => {
                let done = process.end();
                // Before the first commit there is no table to query.
                assert!(matches!(done.code, Some(0 | 2 | 3)), "query ended with {:?}: {}", done.code, done.stderr);
                if done.code == Some(0) {
                    let rows: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
                    assert_eq!(rows[0]["events"], rows[0]["totals"], "a reader saw a mixture of versions");
                }
            }
            Side::Vacuum(process) => {
                let done = process.end();
                assert!(matches!(done.code, Some(0 | 3)), "vacuum ended with {:?}: {}", done.code, done.stderr);
            }
        }
    }

    fn judge_run(&mut self, done: &Done) {
        let is_excused = done.code.is_none_or(|code| code == 0 || EXCUSES.contains(&code));
        assert!(is_excused, "a run ended with {:?}: {}", done.code, done.stderr);
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        if let Some(version) = committed_version(done) {
            // A run that cannot publish its commit fails, and says that it committed.
            let is_unpublished = done.stderr.contains("is committed, but not published");
            assert!(done.code == Some(0) || is_unpublished, "{}", done.stderr);
            assert!(!self.committed.contains(&version), "two runs committed version {version}: {}", done.stderr);
            self.committed.push(version);
        }
    }

    /// Asserts that the lake recovers after the faults: a run succeeds, another one finds nothing
    /// new, and the tables are exact.
    pub(super) fn recover(&mut self) {
        self.deliver();
        // Nothing is broken any more, but the machine may be busy with other schedules, so wait
        // longer.
        let mut run = self.command("lake.toml", &["run"]);
        if !self.workers.is_empty() {
            run.env("LAKEWRIGHT__CLUSTER__WORKER_TIMEOUT", "30s").env("LAKEWRIGHT__CLUSTER__LOST_AFTER", "5s");
        }
        let done = Process::start(run).end();
        assert_eq!(done.code, Some(0), "after the faults: {}", done.stderr);
        self.judge_run(&done);
        let again = Process::start(self.command("alone.toml", &["run"])).end();
        assert!(again.code == Some(0) && again.stderr.contains("nothing new"), "a second run: {}", again.stderr);
        let newest = self.newest_version();
        assert!(self.committed.iter().all(|version| *version <= newest), "{:?} of {newest}", self.committed);
        let done = Process::start(self.command("alone.toml", &["query", QUESTION, "--json"])).end();
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&done.stdout).expect("JSON");
        assert_eq!(rows, self.input.answer(), "the tables are not those of the input");
        match &self.bucket {
            Some(bucket) => self.lake().verify_on(bucket),
            None => self.lake().verify(),
        }
    }

    fn newest_version(&self) -> u64 {
        let Some(bucket) = &self.bucket else { return self.lake().version() };
        let keys = bucket.server().keys("bucket", "lake/_lake/manifest");
        let numbers = keys.iter().filter_map(|key| Path::new(key).file_stem()?.to_str()?.parse().ok());
        numbers.max().unwrap_or(0)
    }
}

/// Returns the version that a run printed as committed.
fn committed_version(done: &Done) -> Option<u64> {
    let line = done.stderr.lines().find_map(|line| line.strip_prefix("committed version "))?;
    line.split(' ').next()?.parse().ok()
}
