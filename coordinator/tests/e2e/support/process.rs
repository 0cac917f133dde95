//! A process that a test freezes, kills or waits for, with a bound on how long it may take to end.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::Done;

/// Liveness bound: a process that has not ended by then hangs. No correct run comes near it.
pub(crate) const HANG: Duration = Duration::from_secs(60);
/// Pause between two looks at a process.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A child whose output goes to files, so that no pipe fills up. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    stdout: File,
    stderr: File,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let [stdout, stderr] = [(), ()].map(|()| tempfile::tempfile().expect("a temporary file"));
        command.stdin(std::process::Stdio::null());
        command.stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Self { child, stdout, stderr }
    }

    /// Sends a signal; a process that has ended does not mind.
    pub(crate) fn signal(&self, signal: &str) {
        let _ = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).output();
    }

    /// Waits until a fail point has frozen the process.
    pub(crate) fn is_frozen(&mut self) {
        let deadline = Instant::now() + HANG;
        loop {
            let state = Command::new("ps").args(["-o", "state=", "-p", &self.child.id().to_string()]).output();
            if state.is_ok_and(|ps| ps.stdout.starts_with(b"T")) {
                return;
            }
            let is_over = self.has_ended() || Instant::now() > deadline;
            assert!(!is_over, "never frozen:\n{}", read(&mut self.stderr));
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }

    /// Waits for the end of the process, which must come within [`HANG`].
    pub(crate) fn end(self) -> Done {
        self.end_while(|_| ())
    }

    /// As [`Self::end`], for a process that a fail point may freeze meanwhile.
    pub(crate) fn end_awake(self) -> Done {
        let mut looks = 0;
        self.end_while(|process| {
            looks += 1;
            if looks % 30 == 0 {
                process.signal("CONT");
            }
        })
    }

    fn end_while(mut self, mut look: impl FnMut(&Self)) -> Done {
        let deadline = Instant::now() + HANG;
        while !self.has_ended() {
            assert!(Instant::now() < deadline, "still running after {HANG:?}:\n{}", read(&mut self.stderr));
            look(&self);
            std::thread::sleep(LOOK_AGAIN);
        }
        let code = self.child.wait().expect("a child can be waited for").code();
        Done { code, stdout: read(&mut self.stdout), stderr: read(&mut self.stderr) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("a file can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}
