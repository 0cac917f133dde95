//! The server as a process, for manual tests. Buckets are in memory and lost when the process ends.

use std::io::Write;
use std::time::Duration;

use clap::Parser;
use lakewright_s3_server::{ACCESS_KEY, SECRET_KEY, Server};

/// Serves S3 on a port of the loopback interface. All objects are lost when the process ends.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Empty buckets to create.
    #[arg(default_value = "lakewright")]
    buckets: Vec<String>,
    /// Latency added to every request.
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    latency: Duration,
}

fn main() {
    let cli = Cli::parse();
    let buckets: Vec<&str> = cli.buckets.iter().map(String::as_str).collect();
    let server = Server::start(&buckets);
    server.set_latency(cli.latency);
    // Print variables that configure clients to use this server. A shell can set them with `eval`.
    let _ = writeln!(
        std::io::stdout(),
        "export AWS_ENDPOINT_URL_S3={} AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY} AWS_REGION=us-east-1",
        server.endpoint()
    );
    loop {
        std::thread::park();
    }
}
