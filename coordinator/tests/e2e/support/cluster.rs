//! Workers as processes, and a coordinator whose log a test can follow.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::{Done, Lake};

/// Nothing here takes long; this only ends a test that hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a worker may use, unless a test says otherwise.
const MEMORY: &[&str] = &["--memory", "512MB"];
/// Between two looks at a log file.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Ports that no system gives to a socket that asks for any: Linux starts at 32768, IANA at 49152.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// Returns a port that nobody listens on, and that this process has not returned before.
///
/// It is not one of those that a system hands out. Otherwise a link or a stub could be given it before the coordinator of
/// the test listens there, and a link that forwards to its own port connects to itself until there are no descriptors left.
pub(crate) fn free_port() -> u16 {
    static RETURNED: AtomicU16 = AtomicU16::new(0);
    // Another process of tests begins elsewhere.
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
    /// Has runs wait for `workers` on the port; losses are noticed sooner than in production.
    pub(crate) fn on_cluster(self, port: u16, workers: usize) -> Self {
        let text = std::fs::read_to_string(self.path("lake.toml")).unwrap();
        let cluster = format!(
            "\n[cluster]\nlisten = \"127.0.0.1:{port}\"\nmin_workers = {workers}\nworker_timeout = \"20s\"\n\
             heartbeat = \"200ms\"\nlost_after = \"1500ms\"\n"
        );
        self.write("lake.toml", (text + &cluster).as_bytes());
        self
    }

    /// As [`Self::on_cluster`], for any process that can connect.
    pub(crate) fn on_open_cluster(self, port: u16, workers: usize) -> Self {
        let lake = self.on_cluster(port, workers);
        let listen = format!("listen = \"127.0.0.1:{port}\"");
        lake.edit("lake.toml", &listen, &format!("{listen}\ninsecure = true"));
        lake
    }

    /// The coordinator, at work.
    pub(crate) fn start(&self, environment: &[(&str, &str)]) -> Coordinator {
        self.start_on(&[], environment)
    }

    /// As [`Self::start`], on a host of its own.
    pub(crate) fn start_on(&self, host: &[&str], environment: &[(&str, &str)]) -> Coordinator {
        let mut command = on(host, self.command(&["run"]));
        let mut child = command.envs(environment.iter().copied()).stderr(Stdio::piped()).spawn().expect("it starts");
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        let (lines, received) = channel();
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        Coordinator { child, lines: received, seen: String::new() }
    }
}

/// The command with another before it, of which it is the argument.
fn on(host: &[&str], command: Command) -> Command {
    let Some((program, arguments)) = host.split_first() else { return command };
    let mut outer = Command::new(program);
    outer.args(arguments).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// Looks again and again; whether it came true.
fn patiently(mut is_true: impl FnMut() -> bool) -> bool {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !is_true() {
        if std::time::Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    true
}

/// A `coordinator run` under way.
pub(crate) struct Coordinator {
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Coordinator {
    /// Waits for a line of the log with this text.
    pub(crate) fn says(&mut self, text: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("never said `{text}` but:\n{}", self.seen));
            self.seen += &line;
            self.seen.push('\n');
            if line.contains(text) {
                return;
            }
        }
    }

    /// Waits for a line with this text, if there was none before.
    pub(crate) fn has_said(&mut self, text: &str) {
        if !self.seen.contains(text) {
            self.says(text);
        }
    }

    /// Waits for its end.
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

/// A worker process; killed when dropped.
pub(crate) struct Worker {
    child: Child,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Worker {
    /// Two vcores, so that a worker alone has exchanges too, 512 MB, and a name.
    pub(crate) fn start(port: u16, name: &str) -> Self {
        Self::start_with(port, name, MEMORY, &[])
    }

    /// As [`Self::start`], to die at a fail point or, with `:STOP` behind its name, to freeze there.
    pub(crate) fn failing_at(port: u16, name: &str, point: &str) -> Self {
        Self::start_with(port, name, MEMORY, &[("LAKEWRIGHT_FAILPOINT", point)])
    }

    /// Without certificates it takes tasks from an open coordinator too.
    pub(crate) fn start_with(port: u16, name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut arguments = arguments.to_vec();
        if !arguments.contains(&"--ca") {
            arguments.push("--insecure");
        }
        Self::start_on(&[], &format!("localhost:{port}"), name, &arguments, environment)
    }

    /// As [`Self::start_with`], on a host of its own.
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

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// As [`Self::signal`]; a worker that has ended does not mind.
    pub(crate) fn signal_if_alive(&self, signal: &str) {
        let _ = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).output();
    }

    /// Waits for its end; the exit code, or none after a signal.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let mut code = None;
        patiently(|| {
            code = self.child.try_wait().expect("a child can be waited for").map(|status| status.code());
            code.is_some()
        });
        code.unwrap_or_else(|| panic!("never ended but:\n{}", self.log()))
    }

    /// Waits until a fail point has frozen it.
    pub(crate) fn is_frozen(&self) {
        let state = || Command::new("ps").args(["-o", "state=", "-p", &self.child.id().to_string()]).output();
        let is_frozen = patiently(|| state().is_ok_and(|ps| ps.stdout.starts_with(b"T")));
        assert!(is_frozen, "never frozen but:\n{}", self.log());
    }

    /// Waits until its log has this text.
    pub(crate) fn says(&self, text: &str) {
        assert!(patiently(|| self.log().contains(text)), "never said `{text}` but:\n{}", self.log());
    }

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

/// An authority, and certificates that it signed, as PEM files in a folder of their own.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

/// Files of one certificate.
pub(crate) struct Identity {
    pub(crate) ca: String,
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec![]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { folder, issuer: rcgen::Issuer::new(parameters, key) }
    }

    /// A certificate for a host's name, good until the end of a year.
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
    /// The worker's options.
    pub(crate) fn arguments(&self) -> [&str; 6] {
        ["--ca", &self.ca, "--cert", &self.cert, "--key", &self.key]
    }

    /// The coordinator's settings.
    pub(crate) fn settings(&self) -> [(&'static str, &str); 3] {
        [
            ("LAKEWRIGHT__CLUSTER__CA", &self.ca),
            ("LAKEWRIGHT__CLUSTER__CERT", &self.cert),
            ("LAKEWRIGHT__CLUSTER__KEY", &self.key),
        ]
    }
}
