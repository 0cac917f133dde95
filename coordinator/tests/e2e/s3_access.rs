//! Access to S3: policies, expiring keys, requester pays, encryption, profiles and proxies.

use std::path::Path;
use std::time::Duration;

use lakewright_s3_server::{ACCESS_KEY, Request, SECRET_KEY, Server};

use crate::support::cluster::{Worker, free_port};
use crate::support::{Done, Lake, files_below, repository};

const SOURCES: &str = "udacity-dend";
const LAKE: &str = "analytics";

/// The project's data in one bucket, and a lake in another.
struct Site {
    server: Server,
    lake: Lake,
}

impl Site {
    fn new() -> Self {
        let server = Server::start(&[SOURCES, LAKE]);
        for source in ["song_data", "log_data"] {
            let folder = repository().join("data").join(source);
            for file in files_below(&folder) {
                let key = file.strip_prefix(&folder).unwrap().to_str().unwrap();
                server.put(SOURCES, &format!("{source}/{key}"), std::fs::read(&file).unwrap());
            }
        }
        let lake = Lake::empty();
        lake.edit("lake.toml", "url = \"lake\"", &format!("url = \"s3://{LAKE}/lake\""));
        for source in ["song_data", "log_data"] {
            lake.edit("lake.toml", &format!("data/{source}"), &format!("s3://{SOURCES}/{source}"));
        }
        Self { server, lake }
    }

    fn run_as(&self, key: &str, arguments: &[&str]) -> Done {
        self.lake.run_with(arguments, &environment(&self.server.endpoint(), key))
    }

    fn ok_as(&self, key: &str, arguments: &[&str]) -> Done {
        let done = self.run_as(key, arguments);
        assert_eq!(done.code, Some(0), "`{arguments:?}` as {key} failed: {}", done.stderr);
        done
    }

    fn songplays(&self) -> String {
        self.ok_as(ACCESS_KEY, &["query", "SELECT count(*) AS n FROM songplays", "--csv"]).stdout
    }
}

/// Returns the policy below a heading of docs/s3.md.
fn documented(heading: &str) -> String {
    let page = std::fs::read_to_string(repository().join("docs/s3.md")).unwrap();
    let section = page.split_once(&format!("\n### {heading}\n")).expect("the page has the heading").1;
    let policy = section.split_once("```json\n").expect("a policy follows").1;
    policy.split_once("```").expect("it ends").0.to_owned()
}

fn refused(requests: &[Request]) -> Vec<&Request> {
    requests.iter().filter(|request| request.status == 403).collect()
}

#[test]
fn the_documented_policies_are_sufficient_and_necessary() {
    let site = Site::new();
    let roles =
        [("coordinator", "The coordinator"), ("worker", "A worker"), ("reader", "Readers"), ("vacuum", "`vacuum`")];
    for (key, heading) in roles {
        site.server.add_key(key, "secret", Some(&documented(heading)));
    }
    let endpoint = site.server.endpoint();
    let reference = Lake::over(&repository().join("data/song_data"), &repository().join("data/log_data"));
    reference.ok(&["run"]);

    // Run in one process.
    site.ok_as("coordinator", &["check"]);
    site.ok_as("coordinator", &["run"]);
    assert_eq!(refused(&site.server.take_requests()), Vec::<&Request>::new());
    // Run with a worker that has its policy, and a coordinator that may not delete.
    site.server.put(
        SOURCES,
        "song_data/late.json",
        &br#"{"song_id": "SOLATE", "artist_id": "ARLATE", "title": "Late"}"#[..],
    );
    let port = free_port();
    let lake = site.lake.on_cluster(port, 1);
    let _worker = Worker::start_with(port, "w", &["--memory", "512MB"], &environment(&endpoint, "worker"));
    let mut of_run = environment(&endpoint, "coordinator").to_vec();
    of_run.push(("LAKEWRIGHT__LIMITS__SPLIT_BYTES", "200KB"));
    let done = lake.start(&of_run).end();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let requests = site.server.take_requests();
    assert!(refused(&requests).iter().all(|request| request.path.contains("delete")), "{:?}", refused(&requests));
    assert!(requests.iter().any(|request| request.path.contains("/_lake/spool/")), "nothing was exchanged");
    assert!(done.stderr.contains("no permission to delete spool objects"), "{}", done.stderr);

    let site = Site { server: site.server, lake };
    let rows = |key: &str| site.ok_as(key, &["query", "SELECT count(*) AS n FROM songs", "--csv"]).stdout;
    let songs = reference.number("SELECT count(*) FROM songs") + 1;
    assert_eq!(rows("reader"), format!("n\n{songs}\n"));
    site.server.age(Duration::from_secs(30 * 24 * 3600));
    let vacuumed = site.ok_as("vacuum", &["vacuum", "--delete"]);
    assert!(vacuumed.stdout.contains("_lake/spool/"), "{}", vacuumed.stdout);
    assert_eq!(site.server.keys(LAKE, "lake/_lake/spool/"), Vec::<String>::new());
    assert_eq!(refused(&site.server.take_requests()), Vec::<&Request>::new());
    assert_eq!(rows("reader"), format!("n\n{songs}\n"));

    // A request that a role does not allow fails, and the error names the object or folder. So a
    // compromised worker cannot commit.
    let later = &br#"{"song_id": "SOLATER", "artist_id": "ARLATE", "title": "Later"}"#[..];
    site.server.put(SOURCES, "song_data/later.json", later);
    for (key, arguments, what) in [
        ("reader", &["run"][..], "cannot open `s3://udacity-dend/"),
        ("worker", &["run"], "_lake/ledger/"),
        ("reader", &["vacuum"], "cannot list uploads below `s3://analytics/lake/`"),
    ] {
        let done = site.run_as(key, arguments);
        assert_eq!(done.code, Some(3), "{key} {arguments:?}: {}", done.stderr);
        for part in [what, "403", "docs/s3.md"] {
            assert!(done.stderr.contains(part), "{key} {arguments:?}: `{part}` is not in: {}", done.stderr);
        }
    }
}

#[test]
fn a_run_that_may_not_delete_silently_leaves_its_files_to_vacuum() {
    let site = Site::new();
    site.server.add_key("coordinator", "secret", Some(&documented("The coordinator")));
    site.ok_as("coordinator", &["run"]);
    let before = site.server.keys(LAKE, "lake/");
    site.server.put(SOURCES, "song_data/bad.json", &b"{\"song_id\": 1}\n{\"song_id\": 2}\n"[..]);
    let _ = site.server.take_requests();
    let done = site.run_as("coordinator", &["run"]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    for word in ["delete", "403", "vacuum", "docs/s3.md"] {
        assert!(!done.stderr.contains(word), "`{word}` is in: {}", done.stderr);
    }
    let requests = site.server.take_requests();
    assert!(refused(&requests).iter().all(|request| request.path.contains("delete")), "{:?}", refused(&requests));
    assert!(site.server.keys(LAKE, "lake/").len() > before.len());
    // A run that may delete removes its files.
    let done = site.run_as(ACCESS_KEY, &["run"]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    site.server.age(Duration::from_secs(30 * 24 * 3600));
    site.ok_as(ACCESS_KEY, &["vacuum", "--delete"]);
    assert_eq!(site.server.keys(LAKE, "lake/"), before);
}

fn environment<'a>(endpoint: &'a str, key: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("AWS_ENDPOINT_URL_S3", endpoint),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", if key == ACCESS_KEY { SECRET_KEY } else { "secret" }),
        ("AWS_REGION", "us-east-1"),
    ]
}

/// Script of a credential process. Each call returns the next key, which is valid for two seconds.
const NEXT_KEY: &str = r#"#!/bin/sh
set -e
n=$(ls "$1" | wc -l)
touch "$1/$n"
echo "{\"Version\": 1, \"AccessKeyId\": \"key-$n\", \"SecretAccessKey\": \"secret\", \
\"SessionToken\": \"token\", \"Expiration\": \"$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%SZ)\"}"
"#;

#[test]
fn keys_that_expire_in_the_middle_of_a_run_are_renewed() {
    let site = Site::new();
    for n in 0..100 {
        site.server.add_key(&format!("key-{n}"), "secret", None);
    }
    let lake = &site.lake;
    lake.write("next-key.sh", NEXT_KEY.as_bytes());
    lake.write("given/.keep", b"");
    let (script, given) = (lake.path("next-key.sh"), lake.path("given"));
    let profile = format!("[default]\ncredential_process = sh {} {}\n", script.display(), given.display());
    lake.write("aws-config", profile.as_bytes());
    // The run takes some seconds, mostly waiting.
    site.server.set_latency(Duration::from_millis(150));
    let endpoint = site.server.endpoint();
    let config = lake.path("aws-config");
    let mut run = lake.command(&["run"]);
    run.envs([("AWS_ENDPOINT_URL_S3", endpoint.as_str()), ("AWS_REGION", "us-east-1")]);
    run.env("AWS_CONFIG_FILE", &config).env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    run.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = run.spawn().expect("it starts");
    let expired = expire_each_in_time(&site.server, &given, &mut child);
    let done = Done::of(&child.wait_with_output().expect("it ends"));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(expired > 0, "the run was over before a key expired");
    assert!(site.songplays().starts_with("n\n"));
    let refused = site.server.take_requests().iter().filter(|request| matches!(request.status, 400 | 403)).count();
    assert_eq!(refused, 0, "no request was made with a key that had expired");
}

/// Until the process ends, expires every key four seconds after it was issued. Returns the number
/// of expired keys.
fn expire_each_in_time(server: &Server, given: &Path, child: &mut std::process::Child) -> usize {
    let mut seen: Vec<std::time::Instant> = Vec::new();
    let mut expired = 0;
    while child.try_wait().expect("a child can be asked").is_none() {
        while given.join((seen.len()).to_string()).exists() {
            seen.push(std::time::Instant::now());
        }
        while seen.get(expired).is_some_and(|since| since.elapsed() > Duration::from_secs(4)) {
            server.expire_key(&format!("key-{expired}"));
            expired += 1;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    expired
}

#[test]
fn every_request_states_the_payer_and_every_write_the_encryption() {
    let site = Site::new();
    let sections = format!(
        "\n[storage.\"s3://{SOURCES}\"]\nrequester_pays = true\n[storage.\"s3://{LAKE}\"]\nencryption = \"aws:kms\"\nkms_key = \"a-key\"\n"
    );
    let text = std::fs::read_to_string(site.lake.path("lake.toml")).unwrap();
    site.lake.write("lake.toml", (text + &sections).as_bytes());
    site.ok_as(ACCESS_KEY, &["run"]);
    let requests = site.server.take_requests();
    let says = |request: &Request, header: &str| request.headers.get(header).cloned().unwrap_or_default();
    let of_sources: Vec<_> = requests.iter().filter(|request| request.path.starts_with("/udacity-dend/")).collect();
    assert!(of_sources.len() > 100);
    for request in of_sources {
        assert_eq!(says(request, "x-amz-request-payer"), "requester", "{request:?}");
    }
    let begins = |request: &&Request| {
        (request.method == "PUT" && !request.path.contains("partNumber")) || request.path.contains("uploads")
    };
    let writes: Vec<_> = requests.iter().filter(begins).collect();
    assert!(writes.len() > 10, "{}", writes.len());
    for request in writes {
        assert_eq!(says(request, "x-amz-server-side-encryption"), "aws:kms", "{request:?}");
        assert_eq!(says(request, "x-amz-server-side-encryption-aws-kms-key-id"), "a-key", "{request:?}");
    }
}

#[test]
fn endpoints_of_profiles_and_proxies_are_used() {
    let site = Site::new();
    let endpoint = site.server.endpoint();
    let profile = format!(
        "[profile here]\nregion = us-east-1\nservices = local\naws_access_key_id = {ACCESS_KEY}\n\
         aws_secret_access_key = {SECRET_KEY}\n[services local]\ns3 =\n  endpoint_url = {endpoint}\n"
    );
    site.lake.write("aws-config", profile.as_bytes());
    let config = site.lake.path("aws-config").display().to_string();
    let done = site.lake.run_with(&["run"], &[("AWS_CONFIG_FILE", &config), ("AWS_PROFILE", "here")]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let of_direct = site.server.take_requests().len();

    // Only the proxy can resolve this name. The server also accepts requests in the form for
    // proxies.
    let away = Lake::empty();
    let text = std::fs::read_to_string(site.lake.path("lake.toml")).unwrap();
    away.write("lake.toml", text.replace("s3://analytics/lake", "s3://analytics/other").as_bytes());
    let mut by_proxy = environment("http://s3.invalid", ACCESS_KEY).to_vec();
    by_proxy.extend([("HTTP_PROXY", endpoint.as_str()), ("NO_PROXY", "")]);
    let done = away.run_with(&["run"], &by_proxy);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let requests = site.server.take_requests();
    assert!(requests.iter().all(|request| request.path.starts_with("http://s3.invalid/")), "{:?}", requests.first());
    assert!(requests.len() > of_direct / 2, "{} requests by the proxy, {of_direct} without it", requests.len());
}
