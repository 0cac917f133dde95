//! Tests of the repository: rules that no compiler checks and that every reader relies on.
//!
//! There is one test per rule, and a failure lists every violation. `ARCHITECTURE.md` explains the
//! rules.

use std::collections::BTreeSet;
use std::fs;

use lakewright_common::config::settings::TABLES_OF_THE_FILE;
use lakewright_common::process::failpoint::FailPoint;

use crate::support::{files_below, repository};

/// Cycles of imports.
mod circles;

/// Maximum number of lines of a file without its inline tests.
const MAX_PRODUCTION_LINES: usize = 500;

/// Folders that contain code.
const CODE: &[&str] = &["proto", "common", "coordinator", "worker", "data/generator", "s3-server", "fuzz"];

/// Prefixes by which paths in pages are recognized.
const ROOTS: &[&str] = &[
    "proto/",
    "common/",
    "coordinator/",
    "worker/",
    "data/",
    "docs/",
    "models/",
    "bench/",
    "s3-server/",
    "fuzz/",
    ".ci/",
];

/// The two commands that set everything up. The README shows them and CI runs them.
const RUN_COMMAND: &str = "cargo run --profile quick --bin coordinator -- --config lake.toml";
const TEST_COMMAND: &str = "cargo test --profile quick --workspace";

/// File names that do not say what a file contains.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "misc", "types", "util", "utils"];

/// Synonyms for terms of this project, with the term to use.
const SYNONYMS: &[(&str, &str)] = &[
    ("data lake", "lake"),
    ("datalake", "lake"),
    ("dead letter", "quarantine"),
    ("dead-letter", "quarantine"),
    ("lakehouse", "lake"),
    ("landing zone", "staging table"),
    ("raw table", "staging table"),
];

/// Crates that may have only one version, because a second one would cost minutes of building or
/// have incompatible types.
const ONE_VERSION: &[&str] = &[
    "arrow",
    "buoyant_kernel",
    "datafusion",
    "deltalake-core",
    "h2",
    "hyper",
    "object_store",
    "parquet",
    "prost",
    "rustls",
    "tokio",
    "tonic",
];

/// Modules of `common/src`, lowest first. Each may import only those before it.
const ROOMS: &[&str] = &[
    "printable",
    "error",
    "config",
    "process",
    "digest",
    "storage",
    "functions",
    "sql",
    "first_row",
    "session",
    "read",
    "report",
    "write",
    "exchange",
    "codec",
];

/// Code that may touch the file system, with the reason.
const FILE_SYSTEM: &[(&str, &str)] = &[
    ("common/src/storage/", "this is the one place that turns keys into files"),
    ("common/src/config/mod.rs", "reads lake.toml, before any storage is known"),
    ("common/src/config/sql_file.rs", "reads the models' SQL beside lake.toml"),
    ("common/src/config/memory.rs", "asks the system how much memory there is"),
    ("common/src/process/tls.rs", "reads certificates"),
    ("common/src/process/secret.rs", "keeps a run's secret where only its user can read it"),
    ("common/src/process/scratch.rs", "makes the folder that queries spill to, which holds nothing of a lake"),
    ("coordinator/src/init/files.rs", "creates the files of a project, of which no lake exists yet"),
    (
        "coordinator/src/command/shell/editor.rs",
        "keeps the history of the shell, which belongs to the user and no lake",
    ),
    ("coordinator/src/command/ui.rs", "reads the token of the pages"),
    ("coordinator/src/command/manual.rs", "writes manual pages, which belong to no lake"),
    ("fuzz/src/", "keeps the corpora of fuzz targets"),
    ("worker/src/cli.rs", "asks the system for the host's name"),
    ("coordinator/src/process.rs", "asks the system what this process has used"),
];

/// A file with its path relative to the root of the repository.
struct File {
    path: String,
    text: String,
}

#[test]
fn no_file_is_longer_than_its_subject() {
    let faults = rust_files().into_iter().filter(|file| !file.is_test() && !file.is_generated()).filter_map(|file| {
        let lines = file.production().count();
        (lines > MAX_PRODUCTION_LINES).then(|| format!("{} has {lines} lines", file.path))
    });
    report("a file has at most 500 lines without its tests; split it by subject", faults);
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let files = rust_files();
    let written = files.iter().filter(|file| !file.is_generated());
    let faults = written.filter(|file| !file.text.starts_with("//! ")).map(|file| file.path.clone());
    report("a file opens with a `//!` paragraph", faults);
}

#[test]
fn every_file_has_the_name_of_a_subject() {
    let files = rust_files();
    let faults = files.iter().filter_map(|file| {
        let stem = file.path.rsplit('/').next()?.strip_suffix(".rs")?;
        EMPTY_NAMES.contains(&stem).then(|| file.path.clone())
    });
    report("a file is named for its subject", faults);
}

#[test]
fn things_have_one_name() {
    let mut faults = Vec::new();
    let files = rust_files().into_iter().chain(pages()).chain(files("models", "sql"));
    for file in files.filter(|file| !file.path.ends_with("e2e/tidy.rs")) {
        for (number, line) in (1..).zip(file.text.lines()) {
            let line = line.to_lowercase();
            let found = SYNONYMS.iter().filter(|(synonym, _)| line.contains(synonym));
            faults.extend(found.map(|(synonym, word)| format!("{}:{number}: `{synonym}` is a `{word}`", file.path)));
        }
    }
    report("the vocabulary has no synonyms", faults);
}

#[test]
fn pages_name_files_and_tests_that_exist() {
    let code = rust_files();
    let mut faults = Vec::new();
    for page in pages() {
        for token in backticked(&page.text) {
            let is_known = if token.ends_with(".rs") {
                code.iter().any(|file| file.path == token || file.path.ends_with(&format!("/{token}")))
            } else if ROOTS.iter().any(|root| token.starts_with(root)) {
                repository().join(token).exists()
            } else if is_test_name(token) {
                code.iter().any(|file| file.text.contains(&format!("fn {token}(")))
            } else {
                true
            };
            if !is_known {
                faults.push(format!("{}: `{token}` does not exist", page.path));
            }
        }
        let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in links(&page.text) {
            if !repository().join(folder).join(target).exists() {
                faults.push(format!("{}: the link to `{target}` leads nowhere", page.path));
            }
        }
    }
    report("a page names what exists", faults);
}

#[test]
fn the_page_of_the_tests_lists_every_module_and_its_fixtures() {
    let folder = "coordinator/tests/e2e";
    let page = read(&format!("{folder}/README.md"));
    let files = rust_files_below(folder);
    let modules = files.iter().filter_map(|file| file.path.strip_prefix(&format!("{folder}/")));
    let modules = modules.filter(|path| !path.contains('/') && *path != "main.rs");
    let missing = modules.filter(|module| !page.text.contains(&format!("\n| `{module}` |")));
    let mut faults: Vec<String> = missing.map(|module| format!("the page lacks `{module}`")).collect();

    let fixtures = page.text.lines().skip_while(|line| *line != "## Fixtures");
    let all = rust_files();
    for row in fixtures.filter_map(|line| line.strip_prefix("| `")) {
        let mut cells = row.split(" | ");
        let (names, place) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        let Some(place) = backticked(place).next() else { continue };
        let is_there = |path: &str| path.starts_with(place) || path.starts_with(&format!("{folder}/{place}"));
        let code: String = all.iter().filter(|file| is_there(&file.path)).map(|file| file.text.as_str()).collect();
        let names = format!("`{names}");
        for name in backticked(&names).filter_map(|name| name.rsplit("::").next()) {
            let is_defined = ["fn ", "struct ", "const ", "enum "].iter().any(|kind| {
                code.match_indices(&format!("{kind}{name}")).any(|(at, found)| {
                    !code[at + found.len()..].starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
                })
            });
            if !is_defined {
                faults.push(format!("`{name}` is not in `{place}`"));
            }
        }
    }
    report("the README of the tests lists what exists", faults);
}

#[test]
fn every_fail_point_is_documented_and_killed_at() {
    let code = rust_files();
    let reached = |point: &FailPoint| {
        let call = format!("failpoint::reach(FailPoint::{point:?})");
        code.iter().filter(|file| !file.is_test()).map(|file| file.text.matches(&call).count()).sum::<usize>()
    };
    let architecture = read("ARCHITECTURE.md");
    let documented: BTreeSet<&str> = backticked(&architecture.text).collect();
    let mut faults = Vec::new();
    for point in FailPoint::ALL {
        let (name, times) = (point.name(), reached(point));
        if times != 1 {
            faults.push(format!("`{name}` is reached at {times} places of the code"));
        }
        if !documented.contains(name) {
            faults.push(format!("ARCHITECTURE.md does not list `{name}`"));
        }
    }
    report("a fail point is reached at one place and documented", faults);
}

#[test]
fn every_dependency_has_a_reason() {
    let table = dependency_table();
    let mut faults = Vec::new();
    let mut direct = BTreeSet::new();
    for member in CODE {
        let manifest = read(&format!("{member}/Cargo.toml"));
        // Generated code names crates with a leading ` ::`.
        let code: String = rust_files_below(member).into_iter().map(|file| file.text.replace(" ::", " ")).collect();
        for name in dependencies(&manifest.text, &["[dependencies]", "[dev-dependencies]"]) {
            if !is_used(&code, &name.replace('-', "_")) {
                faults.push(format!("{member} does not use `{name}`"));
            }
            direct.insert(name);
        }
    }
    let declared = dependencies(&read("Cargo.toml").text, &["[workspace.dependencies]"]);
    faults.extend(declared.difference(&direct).map(|name| format!("no crate depends on `{name}`")));
    for ours in ["lakewright-common", "lakewright-fuzz", "lakewright-proto"] {
        direct.remove(ours);
    }
    faults.extend(direct.difference(&table).map(|name| format!("`{name}` has no line in ARCHITECTURE.md")));
    faults.extend(table.difference(&direct).map(|name| format!("ARCHITECTURE.md explains `{name}`, which is gone")));
    report("a dependency is used and has its line in ARCHITECTURE.md", faults);
}

#[test]
fn heavy_dependencies_have_one_version() {
    let lock = read("Cargo.lock");
    let names: Vec<&str> =
        lock.text.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    assert!(names.len() > 100, "Cargo.lock has another form than this test reads");
    let count = |name: &str| names.iter().filter(|locked| **locked == name).count();
    let faults = ONE_VERSION.iter().filter(|name| count(name) > 1).map(|name| format!("{} × `{name}`", count(name)));
    report("one version of each heavy crate", faults);
}

#[test]
fn dependencies_point_one_way() {
    let mut faults = Vec::new();
    for file in rust_files().iter().filter(|file| !file.is_test()) {
        let forbidden: &[&str] = match file.path.as_str() {
            path if path.starts_with("common/") => &["crate::lake", "deltalake_core::", "delta_kernel::"],
            path if path.starts_with("coordinator/src/lake/") => &["crate::run", "crate::command"],
            path if path.starts_with("coordinator/src/engine/cluster/ballista") => {
                &["deltalake_core::", "delta_kernel::"]
            }
            path if path.starts_with("coordinator/") => &["deltalake_core::", "delta_kernel::", "ballista_"],
            path if path.starts_with("worker/") && !path.ends_with("/ballista.rs") => &["ballista_", "lake/manifest"],
            _ => &[],
        };
        for (number, line) in file.code() {
            let found = forbidden.iter().filter(|module| line.contains(**module));
            faults.extend(found.map(|module| format!("{}:{number}: `{module}`", file.path)));
        }
    }
    report(
        "only `lake/` imports Delta, only `ballista.rs` and `ballista/` import Ballista, and a lake imports no run",
        faults,
    );
}

#[test]
fn rooms_of_common_import_only_lower_rooms() {
    let mut faults = Vec::new();
    for file in rust_files_below("common/src").iter().filter(|file| !file.is_test()) {
        let path = file.path.trim_start_matches("common/src/");
        let room = path.split(['/', '.']).next().expect("a path has a first part");
        let Some(floor) = ROOMS.iter().position(|other| *other == room) else {
            assert_eq!(room, "lib", "`{}` is in no room of `ROOMS`", file.path);
            continue;
        };
        for (number, line) in file.code() {
            let upward = ROOMS[floor + 1..].iter().find(|higher| line.contains(&format!("crate::{higher}::")));
            faults.extend(upward.map(|higher| format!("{}:{number}: `{higher}`", file.path)));
        }
    }
    report("a room of `common` imports only the rooms below it", faults);
}

#[test]
fn only_the_seam_of_record_formats_names_a_format() {
    let formats = ["crate::read::json::", "crate::read::framing::"];
    let is_inside = |file: &File| {
        ["common/src/read/json/", "common/src/read/framing/", "common/src/read/record_format.rs"]
            .iter()
            .any(|place| file.path.starts_with(place))
    };
    let mut faults = Vec::new();
    for file in rust_files_below("common/src").iter().filter(|file| !file.is_test() && !is_inside(file)) {
        let lines = file.code().filter(|(_, line)| formats.iter().any(|format| line.contains(format)));
        faults.extend(lines.map(|(number, line)| format!("{}:{number}: `{}`", file.path, line.trim())));
    }
    report("`read/record_format.rs` is the only way to a format of records", faults);
}

#[test]
fn sql_is_built_in_one_file() {
    let marks = ["\"SELECT ", ".replace('\"', ", ".replace('\\'', "];
    let mut faults = Vec::new();
    for folder in ["common/src", "coordinator/src", "worker/src"] {
        let files = rust_files_below(folder);
        let others =
            files.iter().filter(|file| !file.is_test() && !file.path.starts_with("coordinator/src/query_text"));
        for file in others {
            let lines = file.code().filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)));
            faults.extend(lines.map(|(number, _)| format!("{}:{number}", file.path)));
        }
    }
    report("only `query_text.rs` writes SQL and quotes names and values", faults);
}

#[test]
fn only_storage_touches_the_file_system() {
    let mut faults = Vec::new();
    let mut touching = BTreeSet::new();
    for file in rust_files().iter().filter(|file| !file.is_test() && !file.path.starts_with("data/")) {
        let mut lines = file.code().filter(|(_, line)| line.contains("std::fs") || line.contains("tokio::fs"));
        let Some((number, _)) = lines.next() else { continue };
        match FILE_SYSTEM.iter().find(|(allowed, _)| file.path.starts_with(allowed)) {
            Some((allowed, _)) => drop(touching.insert(*allowed)),
            None => faults.push(format!("{}:{number}", file.path)),
        }
    }
    let unused = FILE_SYSTEM.iter().filter(|(allowed, _)| !touching.contains(allowed));
    faults.extend(unused.map(|(allowed, reason)| format!("{allowed} no longer does: {reason}")));
    report("files are touched in `storage/`, or where an exception says why", faults);
}

#[test]
fn tests_find_their_files_from_the_working_directory() {
    // Two clones may share a target folder, so a path that was compiled into a binary may be that
    // of the other clone.
    let built_in = concat!("env!(\"CARGO_MANIFEST", "_DIR\")");
    let faults = rust_files().into_iter().filter(|file| file.text.contains(built_in)).map(|file| file.path);
    report("no binary holds the path of the clone that it was built in", faults);
}

#[test]
fn messages_name_settings_that_exist() {
    let mut faults = Vec::new();
    let mut found = 0;
    for file in rust_files().iter().filter(|file| !file.is_test()) {
        for (number, line) in file.code() {
            for (section, setting) in named_settings(line) {
                found += 1;
                let settings = TABLES_OF_THE_FILE.iter().find(|(head, _)| head.trim_matches(['[', ']']) == section);
                if !settings.is_some_and(|(_, settings)| settings.iter().any(|known| known.key == setting)) {
                    faults.push(format!("{}:{number}: `[{section}] {setting}`", file.path));
                }
            }
        }
    }
    assert!(found > 5, "messages have another form than this test reads");
    report("a setting in a message exists", faults);
}

#[test]
fn ci_runs_what_the_readme_says() {
    let mut faults = Vec::new();
    for path in ["README.md", ".ci/run"] {
        let file = read(path);
        let missing = [RUN_COMMAND, TEST_COMMAND].into_iter().filter(|command| {
            // The command must be a whole line, so that a longer command does not count.
            file.text.lines().all(|line| line.trim() != *command)
        });
        faults.extend(missing.map(|command| format!("{path} lacks `{command}`")));
    }
    report("two commands are enough", faults);
}

/// Fails if there are faults, listing all of them.
fn report(rule: &str, faults: impl IntoIterator<Item = String>) {
    let faults: Vec<String> = faults.into_iter().collect();
    assert!(faults.is_empty(), "{rule}\n  {}", faults.join("\n  "));
}

impl File {
    /// Returns whether the whole file is for tests. Inline tests are cut off by
    /// [`File::production`].
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.ends_with("/fixture.rs")
    }

    /// Returns whether the file is generated.
    fn is_generated(&self) -> bool {
        self.path.contains("/generated/")
    }

    /// Returns the lines before the inline tests.
    fn production(&self) -> impl Iterator<Item = &str> {
        self.text.lines().take_while(|line| line.trim() != "mod tests {")
    }

    /// Returns the numbered lines before the inline tests, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.production()).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn read(path: &str) -> File {
    let text = fs::read_to_string(repository().join(path)).unwrap_or_else(|e| panic!("`{path}`: {e}"));
    File { path: path.to_owned(), text }
}

/// Returns all files with an extension below a folder of the repository.
fn files(folder: &str, extension: &str) -> Vec<File> {
    let root = repository();
    let paths = files_below(&root.join(folder));
    let paths = paths.iter().filter(|path| path.extension().is_some_and(|found| found == extension));
    paths.map(|path| read(path.strip_prefix(&root).unwrap().to_str().unwrap())).collect()
}

fn rust_files_below(folder: &str) -> Vec<File> {
    files(folder, "rs")
}

fn rust_files() -> Vec<File> {
    CODE.iter().flat_map(|folder| rust_files_below(folder)).collect()
}

/// Returns the pages of the documentation.
fn pages() -> Vec<File> {
    let single = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "data/README.md",
        "bench/README.md",
        "coordinator/tests/e2e/README.md",
    ];
    single.into_iter().map(read).chain(files("docs", "md")).collect()
}

/// Returns the parts of a page in single backticks, without fenced blocks.
fn backticked(text: &str) -> impl Iterator<Item = &str> {
    outside_fences(text).flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Returns the targets of the links of a page that lead to files.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets =
        outside_fences(text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

/// Returns the settings that a line names in backticks as `[section] name`.
fn named_settings(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split("`[").skip(1).filter_map(|rest| {
        let (section, rest) = rest.split_once("] ")?;
        let is_name =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let name = rest.split('`').next()?.split(' ').next()?;
        (is_name(section) && is_name(name)).then_some((section, name))
    })
}

fn outside_fences(text: &str) -> impl Iterator<Item = &str> {
    let mut is_fenced = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fence && !is_fenced
    })
}

/// Returns whether a token is the name of a test. Only test names have at least five words.
fn is_test_name(token: &str) -> bool {
    let is_identifier = token.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_identifier && token.matches('_').count() >= 4
}

/// Returns the keys of some sections of a `Cargo.toml`.
fn dependencies(manifest: &str, sections: &[&str]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if sections.contains(&section) && line.starts_with(|first: char| first.is_ascii_alphabetic()) {
            names.extend(line.split(['.', ' ', '=']).next().map(str::to_owned));
        }
    }
    names
}

/// Returns the crates in the first column of the table of dependencies.
fn dependency_table() -> BTreeSet<String> {
    let architecture = read("ARCHITECTURE.md").text;
    let rows = architecture.lines().skip_while(|line| !line.starts_with("| crate |")).skip(2);
    let cells = rows.map_while(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// Returns whether code names a crate as `name::`, but not as the end of a longer name or path.
fn is_used(code: &str, name: &str) -> bool {
    let needle = format!("{name}::");
    code.match_indices(&needle).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && before != '_' && before != ':')
    })
}
