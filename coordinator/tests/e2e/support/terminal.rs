//! A process on a pseudo-terminal, which a test controls as a user does.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

use super::process::{HANG, send_signal, wrapped};

/// Characters that Ctrl-C and Ctrl-D send.
pub(crate) const CTRL_C: &str = "\u{3}";
pub(crate) const CTRL_D: &str = "\u{4}";

/// Size of the terminal: wide enough that no line is broken.
const SIZE: Winsize = Winsize { ws_row: 50, ws_col: 250, ws_xpixel: 0, ws_ypixel: 0 };
/// Pause between two looks at the screen.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A terminal with a process that reads from it. The process is killed when this is dropped.
pub(crate) struct Terminal {
    process: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
    /// Number of bytes of the screen that the test has waited for.
    seen: usize,
}

impl Terminal {
    /// Starts a command on a new terminal. Its standard output is the terminal too, unless `stdout`
    /// is a file.
    pub(crate) fn start(command: &Command, stdout: Option<File>) -> Self {
        let pair = openpty(&SIZE, None).expect("a pseudo-terminal");
        let handle = || Stdio::from(pair.slave.try_clone().unwrap());
        // Only a session of its own can have a terminal that turns Ctrl-C into a signal.
        let mut session = Command::new("setsid");
        session.arg("--ctty");
        let mut session = wrapped(session, command);
        session.env("TERM", "xterm").stdin(handle()).stdout(stdout.map_or_else(handle, Stdio::from)).stderr(handle());
        let process = session.spawn().unwrap_or_else(|e| panic!("{session:?}: {e}"));
        let keyboard = File::from(pair.master);
        let screen = Arc::default();
        let reader = std::thread::spawn({
            let (mut output, screen) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
            move || read(&mut output, &screen)
        });
        Self { process, keyboard, screen, reader, seen: 0 }
    }

    /// Types text.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// Types a line and Enter.
    pub(crate) fn enter(&mut self, line: &str) {
        self.type_text(&format!("{line}\r"));
    }

    /// Waits until the terminal shows `text`, after everything that the test has waited for.
    pub(crate) fn shows(&mut self, text: &str) {
        let deadline = Instant::now() + HANG;
        loop {
            let screen = self.screen();
            if let Some(at) = screen.get(self.seen..).and_then(|unseen| unseen.find(text)) {
                self.seen += at + text.len();
                return;
            }
            assert!(Instant::now() < deadline, "`{text}` is not shown:\n{screen}\n{screen:?}");
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Returns everything that the terminal has shown.
    pub(crate) fn screen(&self) -> String {
        // The last character may be incomplete.
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: &str) {
        assert!(send_signal(&self.process, signal), "the process has ended");
    }

    /// Returns whether the terminal shows what is typed and reads whole lines.
    pub(crate) fn is_usable(&self) -> bool {
        let flags = tcgetattr(&self.keyboard).unwrap().local_flags;
        flags.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG)
    }

    /// Waits until the process ends. Returns its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + HANG;
        loop {
            let status = self.process.try_wait().expect("a child can be waited for");
            // The reader ends once no process has the terminal open. A process that another test
            // started in the same moment may have inherited it.
            match status {
                Some(status) if self.reader.is_finished() || Instant::now() > deadline => return status.code(),
                _ => assert!(status.is_some() || Instant::now() < deadline, "still running:\n{}", self.screen()),
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Adds output to the screen until no process has the terminal open.
fn read(output: &mut File, screen: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = output.read(&mut buffer) {
        screen.lock().unwrap().extend_from_slice(&buffer[..count]);
    }
}
