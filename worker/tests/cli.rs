//! Tests of the command line of the binary. The end-to-end tests need this file, because it makes
//! `cargo test` build the binary.

#![expect(clippy::tests_outside_test_module, reason = "an integration test is all test")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

fn worker(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_worker")).args(arguments).env_remove("RUST_LOG").output().unwrap()
}

#[test]
fn usage_errors_are_reported_before_anything_starts() {
    for (arguments, text) in [
        (&[][..], "--coordinator <HOST:PORT>"),
        (&["--coordinator", "lake.internal"], "expected a host and a port"),
        (&["--coordinator", "http://lake.internal:1"], "expected a host and a port"),
        (&["--coordinator", "h:1", "--vcores", "0"], "0 is not in 1..=1024"),
        (&["--coordinator", "h:1", "--ca", "ca.pem"], "--cert <FILE>"),
        (&["--coordinator", "h:1", "--insecure", "--ca", "a", "--cert", "b", "--key", "c"], "cannot be used with"),
        (&["--coordinator", "h:1", "--name", &"x".repeat(256)], "a name has 1 to 255 bytes"),
        // Any process at the address could send tasks.
        (&["--coordinator", "lake.internal:50051"], "or --insecure on a private network"),
        (&["--coordinator", "10.0.0.1:50051"], "because the connection has no TLS"),
    ] {
        let output = worker(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(text), "{stderr}");
    }
}

#[test]
fn missing_certificates_are_named() {
    let output = worker(&["--coordinator", "h:1", "--ca", "no.ca", "--cert", "no.cert", "--key", "no.key"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("no.cert"), "{stderr}");
}

#[test]
fn a_scratch_folder_that_cannot_be_created_is_named() {
    let output = worker(&["--coordinator", "localhost:1", "--scratch", "/dev/null/scratch"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("/dev/null/scratch") && stderr.contains("--scratch"), "{stderr}");
}

#[test]
fn help_lists_exit_codes() {
    let output = worker(&["--help"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("Exit codes") && text.contains("LAKEWRIGHT_COORDINATOR"),
        "{text}"
    );
}
