//! Starts workers as processes, and a coordinator with a log that a test can follow.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::process::{is_stopped, send_signal, wrapped};
use super::{Done, Lake};

/// Time limit of every wait, which only ends tests that hang.
const PATIENCE: Duration = Duration::from_secs(120);
/// Memory of a worker, unless a test sets another limit.
const MEMORY: &[&str] = &["--memory", "512MB"];
/// Pause between two checks of a log file.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Ports that no system gives to a socket that asks for any port. Linux starts at 32768, IANA at
/// 49152.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// Returns a port that no process listens on, and that this process has not returned before.
///
/// Systems do not hand out these ports on their own. Otherwise a link or a stub could get the port
/// before the coordinator of the test listens on it, and a link that forwards to its own port
/// connects to itself until no descriptors are left.
pub(crate) fn free_port() -> u16 {
    static RETURNED: AtomicU16 = AtomicU16::new(0);
    // Each test process starts at another port.
    let start = (std::process::id() % 200) as u16 * 110;
    for _ in PORTS {
        let step = RETURNED.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + start.wrapping_add(step) % (PORTS.end - PORTS.start);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("a port of {PORTS:?} is free")
}

impl Lake {
    /// Configures a cluster with runs that wait for `workers` on the port. Lost workers are noticed
    /// sooner than in production.
    pub(crate) fn on_cluster(self, port: u16, workers: usize) -> Self {
        let text = std::fs::read_to_string(self.path("lake.toml")).unwrap();
        let cluster = format!(
            "\n[cluster]\nlisten = \"127.0.0.1:{port}\"\nmin_workers = {workers}\nworker_timeout = \"20s\"\n\
             heartbeat = \"200ms\"\nlost_after = \"1500ms\"\n"
        );
        self.write("lake.toml", (text + &cluster).as_bytes());
        self
    }

    /// Like [`Self::on_cluster`], open to any process that can connect.
    pub(crate) fn on_open_cluster(self, port: u16, workers: usize) -> Self {
        let lake = self.on_cluster(port, workers);
        let listen = format!("listen = \"127.0.0.1:{port}\"");
        lake.edit("lake.toml", &listen, &format!("{listen}\ninsecure = true"));
        lake
    }

    /// Starts a run.
    pub(crate) fn start(&self, environment: &[(&str, &str)]) -> Coordinator {
        self.start_on(&[], environment)
    }

    /// Like [`Self::start`], on another host: `host` is the prefix of the command.
    pub(crate) fn start_on(&self, host: &[&str], environment: &[(&str, &str)]) -> Coordinator {
        let mut command = on(host, self.command(&["run"]));
        let mut child = command.envs(environment.iter().copied()).stderr(Stdio::piped()).spawn().expect("it starts");
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        let (lines, received) = channel();
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        Coordinator { child, lines: received, seen: String::new() }
    }
}

/// Returns the command prefixed by `host`, which is empty for this machine.
fn on(host: &[&str], command: Command) -> Command {
    let Some((program, arguments)) = host.split_first() else { return command };
    let mut outer = Command::new(program);
    outer.args(arguments);
    wrapped(outer, &command)
}

/// Polls until the condition is true or the time limit is reached. Returns whether it became true.
fn wait_until(mut is_true: impl FnMut() -> bool) -> bool {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !is_true() {
        if std::time::Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    true
}

/// A running `coordinator run`. Killed when dropped.
pub(crate) struct Coordinator {
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Coordinator {
    /// Waits for a new line of the log that contains `text`.
    pub(crate) fn says(&mut self, text: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("never logged `{text}` but:\n{}", self.seen));
            self.seen += &line;
            self.seen.push('\n');
            if line.contains(text) {
                return;
            }
        }
    }

    /// Waits for a line that contains `text`, unless there was one before.
    pub(crate) fn has_said(&mut self, text: &str) {
        if !self.seen.contains(text) {
            self.says(text);
        }
    }

    /// Waits for the coordinator to end.
    pub(crate) fn end(mut self) -> Done {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen += &line;
            self.seen.push('\n');
        }
        let _ = self.child.kill();
        let code = self.child.wait().expect("a child can be waited for").code();
        Done { code, stdout: String::new(), stderr: std::mem::take(&mut self.seen) }
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A worker process. Killed when dropped.
pub(crate) struct Worker {
    child: Child,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Worker {
    /// Starts a worker with 512 MB and two vcores, so that a single worker has exchanges too.
    pub(crate) fn start(port: u16, name: &str) -> Self {
        Self::start_with(port, name, MEMORY, &[])
    }

    /// Like [`Self::start`], with a fail point at which the worker dies or, with the suffix
    /// `:STOP`, freezes.
    pub(crate) fn failing_at(port: u16, name: &str, point: &str) -> Self {
        Self::start_with(port, name, MEMORY, &[("LAKEWRIGHT_FAILPOINT", point)])
    }

    /// Starts a worker with options and variables. Without certificates, the worker also accepts a
    /// coordinator that is open to any process.
    pub(crate) fn start_with(port: u16, name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut arguments = arguments.to_vec();
        if !arguments.contains(&"--ca") {
            arguments.push("--insecure");
        }
        Self::start_on(&[], &format!("localhost:{port}"), name, &arguments, environment)
    }

    /// Starts a worker on another host: `host` is the prefix of the command.
    pub(crate) fn start_on(
        host: &[&str],
        coordinator: &str,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = folder.path().join("log");
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_coordinator")).with_file_name("worker"));
        command
            .args(["--coordinator", coordinator, "--name", name, "--vcores", "2"])
            .arg("--scratch")
            .arg(folder.path().join("scratch"))
            .args(arguments)
            .env_remove("RUST_LOG")
            .env_remove("LAKEWRIGHT_FAILPOINT")
            .envs(environment.iter().copied());
        let child = on(host, command)
            .stderr(std::fs::File::create(&log).expect("a log"))
            .spawn()
            .expect("`cargo test --workspace` has built the worker");
        Self { child, log, _folder: folder }
    }

    /// Sends a signal to the worker, which must be alive.
    pub(crate) fn signal(&self, signal: &str) {
        assert!(send_signal(&self.child, signal), "the worker has ended:\n{}", self.log());
    }

    /// Like [`Self::signal`], ignoring a worker that has ended.
    pub(crate) fn signal_if_alive(&self, signal: &str) {
        send_signal(&self.child, signal);
    }

    /// Waits for the worker to end. Returns the exit code, or `None` after a signal.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let mut code = None;
        wait_until(|| {
            code = self.child.try_wait().expect("a child can be waited for").map(|status| status.code());
            code.is_some()
        });
        code.unwrap_or_else(|| panic!("never ended but:\n{}", self.log()))
    }

    /// Waits until a fail point has frozen the worker.
    pub(crate) fn is_frozen(&self) {
        let is_frozen = wait_until(|| is_stopped(&self.child));
        assert!(is_frozen, "never frozen but:\n{}", self.log());
    }

    /// Waits until the log contains `text`.
    pub(crate) fn says(&self, text: &str) {
        assert!(wait_until(|| self.log().contains(text)), "never logged `{text}` but:\n{}", self.log());
    }

    /// Returns the current text of the log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate authority, with the certificates that it signed as PEM files in a temporary
/// folder.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

/// Paths of the files of one certificate.
pub(crate) struct Identity {
    pub(crate) ca: String,
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    /// Creates an authority with a new key.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec![]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { folder, issuer: rcgen::Issuer::new(parameters, key) }
    }

    /// Signs a certificate for a host name, valid until the end of the year `until`.
    pub(crate) fn sign(&self, file: &str, host: &str, until: i32) -> Identity {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until, 12, 31);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let path = |end: &str| self.folder.path().join(format!("{file}.{end}"));
        std::fs::write(path("pem"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        let text = |path: PathBuf| path.to_str().expect("a readable path").to_owned();
        Identity { ca: text(self.folder.path().join("ca.pem")), cert: text(path("pem")), key: text(path("key")) }
    }
}

impl Identity {
    /// Returns the options of a worker.
    pub(crate) fn arguments(&self) -> [&str; 6] {
        ["--ca", &self.ca, "--cert", &self.cert, "--key", &self.key]
    }

    /// Returns the settings of a coordinator.
    pub(crate) fn settings(&self) -> [(&'static str, &str); 3] {
        [
            ("LAKEWRIGHT__CLUSTER__CA", &self.ca),
            ("LAKEWRIGHT__CLUSTER__CERT", &self.cert),
            ("LAKEWRIGHT__CLUSTER__KEY", &self.key),
        ]
    }
}
