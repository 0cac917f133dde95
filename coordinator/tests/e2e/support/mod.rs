//! A lake in a temporary folder, and the binary that works on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Links that can be cut.
pub(crate) mod link;
/// Network namespaces as hosts.
pub(crate) mod hosts;
/// A client of HTTP.
pub(crate) mod http;
/// Workers and coordinators as processes.
pub(crate) mod cluster;
/// Workers that a test controls call by call.
pub(crate) mod fake_worker;
/// Prefixes of buckets on S3.
pub(crate) mod s3;
/// Processes that are frozen, killed and waited for.
pub(crate) mod process;
/// Pseudo-terminals.
pub(crate) mod terminal;
/// The independent checker.
pub(crate) mod checker;
/// Small disks.
pub(crate) mod disk;

/// Returns the root of the repository.
///
/// Cargo runs a test in the folder of its package. The path at build time cannot be used instead:
/// if two clones share a target folder, it may be the path of the other clone.
pub(crate) fn repository() -> PathBuf {
    let package = std::env::current_dir().expect("a working directory");
    package.parent().expect("the package is in a folder of the repository").to_path_buf()
}

/// Returns the folder of the public data set, if there is a copy beside the repository.
pub(crate) fn sparkify() -> Option<PathBuf> {
    let folder = std::env::var_os("LAKEWRIGHT_SPARKIFY")
        .map_or_else(|| repository().join("../shared/data/sparkify"), PathBuf::from);
    folder.is_dir().then(|| folder.canonicalize().expect("an existing folder has a path"))
}

/// A lake with its configuration, sources and models.
pub(crate) struct Lake {
    folder: TempDir,
    /// Environment variables of every command.
    environment: Vec<(String, String)>,
}

/// Output and exit code of a command.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Lake {
    /// Creates a lake over copies of the project's sample data, with its own models and
    /// declarations.
    pub(crate) fn over_data() -> Self {
        let data = repository().join("data");
        Self::over(&data.join("song_data"), &data.join("log_data"))
    }

    /// Creates a lake over copies of `songs` and `log` folders, with the project's own models and
    /// declarations.
    pub(crate) fn over(songs: &Path, log: &Path) -> Self {
        let lake = Self::empty();
        copy_folder(songs, &lake.path("data/song_data"));
        copy_folder(log, &lake.path("data/log_data"));
        lake
    }

    /// Creates a lake with the project's declarations over empty source folders.
    pub(crate) fn empty() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let lake = Self { folder, environment: vec![] };
        for source in ["data/song_data", "data/log_data"] {
            fs::create_dir_all(lake.path(source)).unwrap();
        }
        copy_folder(&repository().join("models"), &lake.path("models"));
        fs::copy(repository().join("lake.toml"), lake.path("lake.toml")).unwrap();
        lake
    }

    /// Creates a lake from `files`, which are paths and contents.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let lake = Self { folder: TempDir::new().expect("a temporary folder"), environment: vec![] };
        for (path, content) in files {
            lake.write(path, content.as_bytes());
        }
        lake
    }

    /// Returns the path of a file of the lake's folder.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes a file, creating its folder.
    pub(crate) fn write(&self, relative: &str, content: &[u8]) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Replaces a text in a file, which must contain it.
    pub(crate) fn edit(&self, relative: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(relative)).unwrap();
        assert!(text.contains(from), "`{relative}` does not contain `{from}`");
        fs::write(self.path(relative), text.replace(from, to)).unwrap();
    }

    /// Returns a command of the coordinator with this lake's configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_with("lake.toml", arguments)
    }

    /// Returns a command of the coordinator with another configuration in this lake's folder.
    pub(crate) fn command_with(&self, config: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coordinator"));
        command.arg("--config").arg(self.path(config)).args(arguments);
        command.env_remove("RUST_LOG").env_remove("LAKEWRIGHT_FAILPOINT").envs(self.environment());
        command
    }

    /// Returns the environment that a worker of this lake needs.
    pub(crate) fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Runs a command with an environment.
    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Done {
        Done::of(&self.command(arguments).envs(environment.iter().copied()).output().expect("the binary starts"))
    }

    /// Runs a command that must succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> Done {
        let done = self.run_with(arguments, &[]);
        assert_eq!(done.code, Some(0), "`{arguments:?}` failed: {}", done.stderr);
        done
    }

    /// Runs a command that must exit with `code`. Returns its standard error.
    pub(crate) fn fails(&self, arguments: &[&str], code: i32) -> String {
        let done = self.run_with(arguments, &[]);
        assert_eq!(done.code, Some(code), "`{arguments:?}` said: {}", done.stderr);
        done.stderr
    }

    /// Returns the rows of a query.
    pub(crate) fn query(&self, sql: &str) -> Vec<Value> {
        let text = self.ok(&["query", sql, "--json"]).stdout;
        serde_json::from_str(&text).expect("`--json` prints a JSON array")
    }

    /// Returns the number that a query selects.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        let rows = self.query(sql);
        let row = rows[0].as_object().expect("a row is an object");
        row.values().next().and_then(Value::as_i64).unwrap_or_else(|| panic!("`{sql}` gave {row:?}"))
    }

    /// Returns name, number of rows and checksum of every table.
    pub(crate) fn checksums(&self) -> Vec<(String, i64, String)> {
        let text = self.ok(&["tables", "--checksum", "--json"]).stdout;
        let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
        let mut tables: Vec<_> = rows
            .iter()
            .map(|row| {
                let text = |name: &str| row[name].as_str().expect("a text").to_owned();
                (text("table"), row["rows"].as_i64().expect("a number"), text("checksum"))
            })
            .collect();
        tables.sort();
        tables
    }

    /// Returns the newest version of the lake, or 0 if it has none.
    pub(crate) fn version(&self) -> u64 {
        let Ok(manifests) = fs::read_dir(self.path("lake/_lake/manifest")) else { return 0 };
        let number = |entry: std::io::Result<fs::DirEntry>| {
            entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.parse().ok()
        };
        manifests.filter_map(number).max().unwrap_or(0)
    }
}

impl Done {
    /// Converts the output of a command.
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// Copies a folder and everything below it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap_or_else(|e| panic!("`{}`: {e}", from.display())) {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// Returns all files below a folder except hidden ones, sorted.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}
