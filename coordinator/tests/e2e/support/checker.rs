//! Runs the independent checker (`.ci/checker`), which verifies a lake after a fault test without
//! code of Lakewright.
//!
//! `LAKEWRIGHT_CHECKER` names the program; `.ci/run` sets it. Without it, tests rely on their own
//! assertions and print that the checker was skipped, because `cargo test` needs nothing but Rust.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex, Once};

use serde_json::{Value, json};

use super::Lake;
use super::s3::TestBucket;

/// One process for all tests of this binary, because starting it takes longer than most checks. It
/// exits with the binary, when its standard input is closed.
static CHECKER: LazyLock<Option<Mutex<Checker>>> = LazyLock::new(|| {
    let program = std::env::var_os("LAKEWRIGHT_CHECKER")?;
    let mut command = Command::new(&program);
    let mut child = command.arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a checker");
    let requests = child.stdin.take().expect("it is piped");
    let answers = BufReader::new(child.stdout.take().expect("it is piped"));
    Some(Mutex::new(Checker { requests, answers, _child: child }))
});

struct Checker {
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    _child: Child,
}

impl Lake {
    /// Verifies all versions of the lake with the independent checker. A run must have ingested all
    /// objects before.
    pub(crate) fn verify(&self) {
        verify(&json!({ "config": self.path("lake.toml") }));
    }

    /// Like [`Self::verify`], for a lake and sources on S3.
    pub(crate) fn verify_on(&self, place: &TestBucket) {
        if CHECKER.is_none() {
            return skip();
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        place.download(folder.path());
        verify(&json!({ "config": self.path("lake.toml"), "buckets": { place.url(""): with_slash(folder.path()) } }));
    }
}

fn with_slash(folder: &Path) -> String {
    format!("{}/", folder.display())
}

fn verify(request: &Value) {
    let Some(checker) = CHECKER.as_ref() else { return skip() };
    let mut answer = String::new();
    {
        let mut checker = checker.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        writeln!(checker.requests, "{request}").expect("the checker listens");
        checker.answers.read_line(&mut answer).expect("the checker answers");
    }
    let answer: Value =
        serde_json::from_str(&answer).unwrap_or_else(|e| panic!("the checker answered {answer:?}: {e}"));
    let violations = answer["violations"].as_array().expect("an answer has violations");
    let text: Vec<_> = violations.iter().map(|violation| violation.as_str().unwrap_or_default()).collect();
    assert!(text.is_empty(), "the independent checker found:\n  {}", text.join("\n  "));
}

/// Prints once per binary that the checker was skipped.
#[expect(clippy::print_stderr, reason = "a message of a test")]
fn skip() {
    static PRINTED: Once = Once::new();
    PRINTED.call_once(|| eprintln!("skipped: the independent checker, because LAKEWRIGHT_CHECKER is not set"));
}
