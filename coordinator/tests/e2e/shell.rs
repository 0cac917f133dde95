//! Tests of `query` without a statement: scripts on standard input, and the shell on a terminal.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use crate::support::terminal::{CTRL_C, CTRL_D, Terminal};
use crate::support::{Done, Lake};

/// Query that runs for days.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000) AS a CROSS JOIN generate_series(1, 1000000) AS b \
                       WHERE a.value * b.value < 0;";

/// Creates a lake with two records and one table, and commits its first version.
fn lake() -> Lake {
    let lake = Lake::of(&[
        (
            "lake.toml",
            "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\nid = \"long\"\nname = \"string\"\n[tables.t]\nsql = \"t.sql\"\n",
        ),
        ("t.sql", "SELECT id, name FROM staging.s"),
        ("in/a.json", "{\"id\": 1, \"name\": \"a;b\"}\n{\"id\": 2}\n"),
    ]);
    lake.ok(&["run"]);
    lake
}

/// Starts `query` with pipes.
fn piped(lake: &Lake, arguments: &[&str]) -> Child {
    let mut command = lake.command(&[&["query"], arguments].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs `query` with a text on standard input.
fn script(lake: &Lake, arguments: &[&str], text: &[u8]) -> Done {
    let mut process = piped(lake, arguments);
    process.stdin.take().unwrap().write_all(text).unwrap();
    Done::of(&process.wait_with_output().unwrap())
}

/// Opens a shell that keeps its history below the lake's folder, and waits for its prompt.
fn shell(lake: &Lake, arguments: &[&str], stdout: Option<File>) -> Terminal {
    let mut command = lake.command(&[&["query"], arguments].concat());
    command.env("XDG_STATE_HOME", lake.path("state"));
    let mut shell = Terminal::start(&command, stdout);
    shell.shows("version 1> ");
    shell
}

#[test]
fn a_script_prints_the_rows_of_each_statement_in_order() {
    let lake = lake();
    let text = "-- two; 'statements\nSELECT id, name FROM t ORDER BY id; /* ; /* ; */ */\n\nSELECT ';' AS \"a;b\"";
    for (flag, expected) in [
        ("--csv", "id,name\n1,a;b\n2,\na;b\n;\n"),
        ("--json", "[{\"id\":1,\"name\":\"a;b\"},{\"id\":2,\"name\":null}]\n[{\"a;b\":\";\"}]\n"),
        ("--jsonlines", "{\"id\":1,\"name\":\"a;b\"}\n{\"id\":2,\"name\":null}\n{\"a;b\":\";\"}\n"),
        ("--markdown", "| id | name |\n|---|---|\n| 1 | a;b |\n| 2 |  |\n\n| a;b |\n|---|\n| ; |\n"),
    ] {
        let done = script(&lake, &[flag], text.as_bytes());
        assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(0), expected, ""), "{flag}");
        // An argument may contain several statements too.
        assert_eq!(lake.ok(&["query", flag, "--", text]).stdout, expected, "{flag}");
    }
    let done = script(&lake, &["--version", "9"], b"SELECT 1");
    assert!(done.code == Some(2) && done.stderr.contains("no version 9"), "{}", done.stderr);
}

#[test]
fn a_script_stops_at_the_first_error_and_names_the_statement() {
    let lake = lake();
    for (second, code, message) in [
        ("SELECT nope FROM t", 2, "the query cannot run"),
        ("SELECT 1 / (id - 1) AS x FROM t", 1, "a query failed on its data"),
        ("DROP TABLE t", 2, "the query cannot run"),
        ("SELECT 'open", 2, "Unterminated string literal"),
    ] {
        let text = format!("SELECT 1 AS a;\n\n-- second\n{second};\nSELECT 3 AS c;\n");
        let done = script(&lake, &["--csv"], text.as_bytes());
        assert_eq!((done.code, done.stdout.as_str()), (Some(code), "a\n1\n"), "{second}: {}", done.stderr);
        assert!(done.stderr.starts_with("error: statement 2 (line 4): "), "{}", done.stderr);
        assert!(done.stderr.contains(message), "{}", done.stderr);
    }
    // One statement needs no number.
    let done = script(&lake, &[], b"SELECT nope FROM t;");
    assert!(done.stderr.starts_with("error: the query cannot run"), "{}", done.stderr);
}

#[test]
fn a_script_without_a_statement_is_an_error_of_usage() {
    let lake = lake();
    for text in ["", "\n", ";;", "-- SELECT 1;\n/* SELECT 2; */"] {
        let done = script(&lake, &[], text.as_bytes());
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{text}");
        assert!(done.stderr.contains("there is no SQL statement to run"), "{text}: {}", done.stderr);
    }
    assert!(lake.fails(&["query", ""], 2).contains("there is no SQL statement to run"));
    let done = script(&lake, &[], b"SELECT '\xff'");
    assert!(done.code == Some(2) && done.stderr.contains("not UTF-8"), "{}", done.stderr);
}

#[test]
fn a_script_ends_quietly_if_the_reader_of_its_rows_is_gone() {
    let lake = lake();
    let mut process = piped(&lake, &[]);
    drop(process.stdout.take());
    // The second statement would fail.
    process.stdin.take().unwrap().write_all(b"SELECT 1; SELECT nope;").unwrap();
    let done = Done::of(&process.wait_with_output().unwrap());
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_shell_answers_statements_and_commands_until_the_user_quits() {
    let lake = lake();
    let mut shell = shell(&lake, &[], None);
    assert!(shell.screen().contains("version 1 of the lake"), "{}", shell.screen());
    shell.enter("SELECT 40 +");
    shell.shows("-> ");
    shell.enter("2 AS n; SELECT 'it''s;'");
    shell.shows("| 42 |");
    shell.shows("-> ");
    shell.enter("; -- done");
    shell.shows("| it's; ");
    shell.shows("version 1> ");

    shell.enter("\\d");
    shell.shows("| public | t ");
    shell.shows("| system | history ");
    shell.shows("version 1> ");
    shell.enter("\\d t");
    shell.shows("| name ");
    shell.shows("version 1> ");
    shell.enter("\\d system.ledger");
    shell.shows("| file_name ");
    shell.shows("version 1> ");
    shell.enter("\\nonsense");
    shell.shows("error: there is no command `\\nonsense`");
    shell.shows("version 1> ");
    shell.enter("\\?");
    shell.shows("list the tables");
    shell.shows("version 1> ");

    // The shell continues after an error.
    shell.enter("SELECT nope FROM t;");
    shell.shows("error: the query cannot run");
    shell.shows("version 1> ");
    shell.enter("SELECT (._a);");
    shell.shows("error: the query cannot run");
    shell.shows("version 1> ");
    shell.enter("SELECT count(*) + 40 AS m FROM t;");
    shell.shows("| 42 |");
    shell.shows("version 1> ");
    shell.type_text(CTRL_D);
    assert_eq!(shell.end(), Some(0), "{}", shell.screen());
    assert!(shell.is_usable());
}

#[test]
fn ctrl_c_cancels_a_query_or_clears_what_is_typed() {
    let lake = lake();
    let mut shell = shell(&lake, &[], None);
    shell.enter(ENDLESS);
    // The line feed shows that the editor has left the terminal.
    shell.shows("\n");
    shell.type_text(CTRL_C);
    shell.shows("cancelled");
    shell.shows("version 1> ");
    shell.enter("SELECT 40 + 2 AS n;");
    shell.shows("| 42 |");
    shell.shows("version 1> ");
    // Statements of the same line are cancelled too.
    shell.enter(&format!("{ENDLESS} SELECT 13 * 3 AS n;"));
    shell.shows("\n");
    shell.type_text(CTRL_C);
    shell.shows("cancelled");
    shell.shows("version 1> ");
    shell.enter("SELECT 'unfinished");
    shell.shows("-> ");
    shell.type_text("more");
    shell.type_text(CTRL_C);
    shell.shows("version 1> ");
    shell.enter("SELECT 50 + 5 AS n;");
    shell.shows("| 55 |");
    shell.shows("version 1> ");
    shell.enter("\\q");
    assert_eq!(shell.end(), Some(0), "{}", shell.screen());
    assert!(!shell.screen().contains("| 39 |"), "{}", shell.screen());
}

#[test]
fn a_query_that_does_not_stop_leaves_the_shell_usable() {
    let lake = lake();
    let mut shell = shell(&lake, &[], None);
    // A join of all pairs of rows, which keeps its threads busy.
    shell.enter("SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b;");
    shell.shows("\n");
    shell.type_text(CTRL_C);
    shell.shows("cancelled");
    shell.shows("version 1> ");
    shell.enter("SELECT count(*) + 40 AS n FROM t;");
    shell.shows("| 42 |");
    shell.shows("version 1> ");
    shell.enter("\\q");
    assert_eq!(shell.end(), Some(0), "{}", shell.screen());
}

#[test]
fn lines_that_are_typed_ahead_are_all_read() {
    let lake = lake();
    let mut shell = shell(&lake, &[], None);
    shell.enter("SELECT 'keep' AS a\nUNION ALL SELECT 'first'\nUNION ALL SELECT 'second' ORDER BY a;");
    shell.shows("| keep ");
    shell.shows("| second ");
    shell.shows("version 1> ");
    shell.enter("\\q");
    assert_eq!(shell.end(), Some(0), "{}", shell.screen());
    assert!(shell.screen().contains("| first "), "{}", shell.screen());
}

#[test]
fn a_shell_reads_the_newest_version_unless_the_user_chose_one() {
    let lake = lake();
    let (mut newest, mut first) = (shell(&lake, &[], None), shell(&lake, &["--version", "1"], None));
    lake.write("in/b.json", b"{\"id\": 3}\n");
    lake.ok(&["run"]);
    for (shell, count) in [(&mut newest, "| 43 |"), (&mut first, "| 42 |")] {
        shell.enter("SELECT count(*) + 40 AS n FROM t;");
        shell.shows(count);
    }
    newest.shows("version 2> ");
    first.shows("version 1> ");
    assert!(newest.screen().contains("the newest version is now 2"), "{}", newest.screen());
    for mut shell in [newest, first] {
        shell.enter("exit");
        assert_eq!(shell.end(), Some(0), "{}", shell.screen());
    }
}

#[test]
fn standard_output_of_a_shell_has_only_rows() {
    let lake = lake();
    let rows = lake.path("rows.csv");
    let mut shell = shell(&lake, &["--csv"], Some(File::create(&rows).unwrap()));
    shell.enter("SELECT id FROM t ORDER BY id;");
    shell.shows("version 1> ");
    shell.enter("\\d t");
    shell.shows("version 1> ");
    shell.enter("\\q");
    assert_eq!(shell.end(), Some(0), "{}", shell.screen());
    let rows = fs::read_to_string(rows).unwrap();
    assert!(rows.starts_with("id\n1\n2\ncolumn_name,data_type,is_nullable\nid,Int64,"), "{rows}");
    assert!(!rows.contains("version") && !rows.contains('\u{1b}'), "{rows:?}");
}

#[test]
fn text_from_data_is_escaped_in_a_shell() {
    let lake = lake();
    let mut shell = shell(&lake, &["--csv"], None);
    shell.enter("SELECT concat(chr(27), '[5m') AS x;");
    shell.shows("\\u{1b}[5m");
    shell.shows("version 1> ");
    assert!(!shell.screen().contains("\u{1b}[5m"), "{:?}", shell.screen());
}

#[test]
fn the_history_is_private_and_need_not_be_writable() {
    let lake = lake();
    let mut first = shell(&lake, &[], None);
    first.enter("SELECT 40 +");
    first.shows("-> ");
    first.enter("2 AS n;");
    first.shows("| 42 |");
    first.shows("version 1> ");
    first.enter("\\q");
    assert_eq!(first.end(), Some(0), "{}", first.screen());
    let history = lake.path("state/lakewright/query_history");
    assert_eq!(fs::metadata(&history).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&history).unwrap().contains("SELECT 40 +\\n2 AS n;"));

    // The arrow key brings the statement back; the entry after it is `\q`.
    let mut second = shell(&lake, &[], None);
    second.type_text("\u{1b}[A\u{1b}[A\r");
    second.shows("| 42 |");
    second.shows("version 1> ");
    second.enter("\\q");
    assert_eq!(second.end(), Some(0), "{}", second.screen());

    fs::remove_dir_all(lake.path("state")).unwrap();
    lake.write("state", b"not a folder");
    let mut third = shell(&lake, &[], None);
    third.enter("SELECT 40 + 3 AS n;");
    third.shows("| 43 |");
    third.shows("version 1> ");
    third.enter("\\q");
    assert_eq!(third.end(), Some(0), "{}", third.screen());
    assert!(!third.screen().contains("error"), "{}", third.screen());
}

#[test]
fn a_shell_that_is_terminated_leaves_the_terminal_usable() {
    let lake = lake();
    let mut shell = shell(&lake, &[], None);
    assert!(!shell.is_usable(), "the editor reads single keys");
    shell.signal("TERM");
    assert_eq!(shell.end(), Some(143), "{}", shell.screen());
    assert!(shell.is_usable());
}
