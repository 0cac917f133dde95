//! Processes that a test freezes, kills or waits for, with a bound on how long they may take to
//! end.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::Done;

/// Liveness bound: a process that has not ended after this time hangs. No correct run comes close
/// to it.
pub(crate) const HANG: Duration = Duration::from_secs(60);
/// Pause between two checks of a process.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A child process that writes its output to files, so that no pipe fills up. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    stdout: File,
    stderr: File,
}

impl Process {
    /// Starts a command.
    pub(crate) fn start(mut command: Command) -> Self {
        let [stdout, stderr] = [(), ()].map(|()| tempfile::tempfile().expect("a temporary file"));
        command.stdin(std::process::Stdio::null());
        command.stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Self { child, stdout, stderr }
    }

    /// Sends a signal. A process that has already ended is ignored.
    pub(crate) fn signal(&self, signal: &str) {
        send_signal(&self.child, signal);
    }

    /// Waits until a fail point has frozen the process.
    pub(crate) fn is_frozen(&mut self) {
        let deadline = Instant::now() + HANG;
        loop {
            if is_stopped(&self.child) {
                return;
            }
            let is_over = self.has_ended() || Instant::now() > deadline;
            assert!(!is_over, "never frozen:\n{}", read(&mut self.stderr));
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits until a fail point has frozen the run in `step`, one of the steps that it logs. A run
    /// that is stopped before this step was not stopped by the fail point, and is resumed.
    pub(crate) fn is_frozen_in(&mut self, step: &str) {
        let started = format!("step=\"{step}\"");
        loop {
            self.is_frozen();
            if read(&mut self.stderr).contains(&started) {
                return;
            }
            self.signal("CONT");
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Returns whether the process has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }

    /// Waits for the process to end, which must happen within [`HANG`].
    pub(crate) fn end(self) -> Done {
        self.end_while(|_| ())
    }

    /// Like [`Self::end`], but also resumes the process repeatedly, in case a fail point freezes
    /// it.
    pub(crate) fn end_awake(self) -> Done {
        let mut checks = 0;
        self.end_while(|process| {
            checks += 1;
            if checks % 30 == 0 {
                process.signal("CONT");
            }
        })
    }

    fn end_while(mut self, mut check: impl FnMut(&Self)) -> Done {
        let deadline = Instant::now() + HANG;
        while !self.has_ended() {
            assert!(Instant::now() < deadline, "still running after {HANG:?}:\n{}", read(&mut self.stderr));
            check(&self);
            std::thread::sleep(POLL_INTERVAL);
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

/// Returns the command `outer` with `inner` as its last arguments and with the environment of
/// `inner`.
pub(crate) fn wrapped(mut outer: Command, inner: &Command) -> Command {
    outer.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// Sends a signal to a child. Returns whether the child could receive it.
pub(super) fn send_signal(child: &Child, signal: &str) -> bool {
    let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).output();
    sent.is_ok_and(|output| output.status.success())
}

/// Returns whether a signal has stopped a child.
pub(super) fn is_stopped(child: &Child) -> bool {
    let state = Command::new("ps").args(["-o", "state=", "-p", &child.id().to_string()]).output();
    state.is_ok_and(|ps| ps.stdout.starts_with(b"T"))
}

fn read(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("a file can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}
