//! Fuzzing on stable Rust, without a second, instrumented build. A test passes a function, the
//! target. It is called with inputs that are mutated from a corpus (`fuzz/corpus/<target>/`).
//!
//! ```text
//! corpus ──► replayed, each file once ──► pool ──► mutated (`mutate`) ──► the target ──► a new outcome: into the pool
//!                                                                             │ panics, takes too long or too much memory
//!                                                                             ▼
//!                                                          fuzz/corpus/<target>/crash-<hash>, and the test fails
//! ```
//!
//! A target returns the outcome of an input as text, such as its error. An input with a new outcome
//! is added to the pool. This replaces coverage feedback: each new error message leads to inputs
//! that get further into the code.
//!
//! A plain `cargo test` replays the corpus and tries a short, fixed series of inputs. With
//! `FUZZ_SECONDS=20`, it replays the corpus and then tries inputs for 20 seconds, from a new seed
//! that it prints, and also checks the memory limit. Each input is then written to a file before it
//! is tried, so that the next start finds an input that aborted the process. `FUZZ_SEED` sets the
//! seed; `FUZZ_KEEP=1` adds inputs with new outcomes to the corpus.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Mutates inputs.
mod mutate;
/// Peak memory of the process.
mod usage;

use mutate::Mutator;

/// Number of inputs that a plain `cargo test` tries in addition to the corpus.
const INPUTS: u64 = 300;
/// Maximum size of an input. Other tests cover limits on larger inputs.
const MAX_BYTES: usize = 16 * 1024;
/// Maximum size of an input that is added to the corpus because of its outcome.
const MAX_KEPT_BYTES: usize = 2048;
/// Number of inputs in the pool, including the corpus, from which on no input is added.
const MAX_POOL: usize = 4096;
/// Number of characters at the start of an outcome that are compared with other outcomes.
const MAX_OUTCOME: usize = 160;

/// Limits on one input.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(10), memory: 512 * 1024 * 1024 };

/// Limits for trying one input. The time limit detects hangs: it is far above the time that any
/// input needs.
struct Bounds {
    time: Duration,
    /// Maximum peak of the whole process's resident memory, in bytes. Checked only with
    /// `FUZZ_SECONDS`, when the process does nothing else.
    memory: u64,
}

/// A target: its name, which is also the name of its folder in the corpus, and words that inputs
/// are likely to contain.
pub struct Target<'a> {
    pub name: &'a str,
    pub words: &'a [&'a str],
    /// Inputs to start from, in addition to the files of the corpus.
    pub seeds: Vec<Vec<u8>>,
}

impl Target<'_> {
    /// Calls `target` with inputs. The target must panic if it finds an error. Otherwise it must
    /// return the outcome of the input.
    ///
    /// # Panics
    /// If the target panics or exceeds a limit. The input is added to the corpus first.
    pub fn run(&self, target: impl FnMut(&[u8]) -> String) {
        let seconds = number("FUZZ_SECONDS");
        let seed = number("FUZZ_SEED").unwrap_or_else(|| if seconds.is_some() { now() } else { 1 });
        self.run_from(seed, seconds, INPUTS, target);
    }

    /// Tries inputs that are made from one seed: for `seconds` seconds if that is given, otherwise
    /// `inputs` inputs.
    fn run_from(&self, seed: u64, seconds: Option<u64>, inputs: u64, target: impl FnMut(&[u8]) -> String) {
        let mut session = Session {
            name: self.name,
            target,
            outcomes: BTreeSet::new(),
            pool: vec![],
            running: seconds.map(|_| running_file(self.name, std::process::id())),
        };
        session.adopt_aborted();
        let files = session.corpus();
        for input in files.iter().map(read).chain(self.seeds.iter().cloned()) {
            session.attempt(&input);
            session.pool.push(input);
        }
        if session.pool.is_empty() {
            session.pool.push(vec![]);
        }
        let start = session.pool.len();
        let mut mutator = Mutator::new(seed, self.words);
        let (started, mut tried) = (Instant::now(), 0);
        let is_over = |tried| match seconds {
            Some(seconds) => started.elapsed() >= Duration::from_secs(seconds),
            None => tried >= inputs,
        };
        while !is_over(tried) {
            let input = mutator.next(&session.pool, MAX_BYTES);
            if session.attempt(&input) && session.pool.len() < MAX_POOL {
                session.keep(&input);
                session.pool.push(input);
            }
            tried += 1;
        }
        session.finish();
        report(&format!(
            "fuzz {}: {tried} inputs after {start}, {} outcomes, FUZZ_SEED={seed}",
            self.name,
            session.outcomes.len()
        ));
    }
}

struct Session<'a, F> {
    name: &'a str,
    target: F,
    /// Hashes of all outcomes so far.
    outcomes: BTreeSet<u64>,
    pool: Vec<Vec<u8>>,
    /// File with the input being tried.
    running: Option<PathBuf>,
}

impl<F: FnMut(&[u8]) -> String> Session<'_, F> {
    /// Tries one input. Returns whether its outcome is new.
    fn attempt(&mut self, input: &[u8]) -> bool {
        if let Some(file) = &self.running {
            let _ = std::fs::write(file, input);
        }
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.target)(input)));
        let elapsed = started.elapsed();
        let outcome = outcome.unwrap_or_else(|panic| {
            self.fail(input, "panics");
            resume_unwind(panic)
        });
        if elapsed > BOUNDS.time {
            self.stop(input, &format!("takes {elapsed:?}"));
        }
        if let (Some(_), Some(peak)) = (&self.running, usage::peak())
            && peak > BOUNDS.memory
        {
            self.stop(input, &format!("takes {peak} bytes of memory"));
        }
        // Ignore numbers, and names between backticks. With them, almost every outcome would be
        // new.
        let words = outcome.split('`').step_by(2).flat_map(str::chars);
        let shape: String = words.filter(|c| !c.is_ascii_digit()).take(MAX_OUTCOME).collect();
        self.outcomes.insert(hash(shape.as_bytes()))
    }

    /// Adds an input that failed to the corpus. Returns a message that contains `why`, the reason.
    fn fail(&self, input: &[u8], why: &str) -> String {
        let file = self.folder().join(format!("crash-{:016x}", hash(input)));
        let _ = std::fs::create_dir_all(self.folder());
        let written = std::fs::write(&file, input);
        let message = format!("fuzz {}: an input {why}; it is `{}` ({written:?})", self.name, file.display());
        report(&message);
        self.finish();
        message
    }

    fn stop(&self, input: &[u8], why: &str) {
        let message = self.fail(input, why);
        #[expect(clippy::panic, reason = "a test fails by panicking")]
        {
            panic!("{message}");
        }
    }

    /// Finds inputs that aborted an earlier process, and adds them to the corpus, so that they are
    /// tried again.
    fn adopt_aborted(&self) {
        let folder = fast_folder();
        let prefix = folder.join(format!("lakewright-fuzz-{}-", self.name));
        let Ok(files) = std::fs::read_dir(&folder) else { return };
        for file in files.flatten().map(|file| file.path()) {
            let Some(process) = file.to_str().and_then(|path| path.strip_prefix(prefix.to_str()?)) else { continue };
            if !PathBuf::from(format!("/proc/{process}")).exists() && cfg!(target_os = "linux") {
                self.fail(&read(&file), "aborted an earlier process");
                let _ = std::fs::remove_file(&file);
            }
        }
    }

    fn keep(&self, input: &[u8]) {
        if number("FUZZ_KEEP").is_some() && input.len() <= MAX_KEPT_BYTES {
            let _ = std::fs::create_dir_all(self.folder());
            let _ = std::fs::write(self.folder().join(format!("{:016x}", hash(input))), input);
        }
    }

    fn folder(&self) -> PathBuf {
        corpora().join(self.name)
    }

    /// Returns the files of the corpus, ordered by name.
    fn corpus(&self) -> Vec<PathBuf> {
        let Ok(files) = std::fs::read_dir(self.folder()) else { return vec![] };
        let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
        files.sort();
        files
    }

    fn finish(&self) {
        if let Some(file) = &self.running {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Returns the folder that contains the corpora of all targets. The path is relative to the folder
/// of the test's package, because Cargo runs each test there.
fn corpora() -> PathBuf {
    PathBuf::from("../fuzz/corpus")
}

fn running_file(name: &str, process: u32) -> PathBuf {
    fast_folder().join(format!("lakewright-fuzz-{name}-{process}"))
}

/// Returns a folder for the file with the current input. On Linux it is in memory, because every
/// input is written to this file.
fn fast_folder() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

fn read(file: &PathBuf) -> Vec<u8> {
    std::fs::read(file).unwrap_or_default()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs())
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn report(text: &str) {
    #[expect(clippy::print_stderr, reason = "output of a test")]
    {
        eprintln!("{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The target fails for very few inputs. To find one, fuzzing must first find three new
    /// outcomes, one after the other.
    #[test]
    fn outcomes_lead_to_an_input_that_chance_would_not_find() {
        let target = Target { name: "selftest", words: &["lake", "wright"], seeds: vec![b"{}".to_vec()] };
        let found = catch_unwind(AssertUnwindSafe(|| {
            target.run_from(1, None, 100_000, |input| {
                let has = |word: &[u8]| input.windows(word.len()).any(|part| part == word);
                assert!(!(has(b"lakewright") && has(b"{}")), "found");
                format!("{} {} {}", has(b"lake"), has(b"wright"), has(b"{}"))
            });
        }));
        let corpus = corpora().join("selftest");
        let crashes: Vec<_> = std::fs::read_dir(&corpus).unwrap().flatten().map(|file| file.path()).collect();
        std::fs::remove_dir_all(corpus).unwrap();
        assert!(found.is_err());
        assert!(crashes.len() == 1 && crashes[0].to_str().unwrap().contains("crash-"), "{crashes:?}");
    }
}
