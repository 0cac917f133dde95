//! Command line of the generator: reads the arguments, writes the data and prints a summary.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use lakewright_datagen::{Error, Options, generate};

/// Writes song files and listening logs like those of a music-streaming service. The same arguments
/// always give the same bytes.
///
/// Under DIR it creates song_data/A/B/C/TR….json (one object per file) and
/// log_data/YYYY/MM/YYYY-MM-DD-events.json (one object per line, one file per day from 2018-11-01).
/// Memory does not grow with songs or events.
#[derive(Parser)]
#[command(name = "lakewright-datagen", version)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Folder to write to; must be empty or not exist yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match generate(&arguments.options, &arguments.out) {
        Ok(written) => {
            // The data is complete, so a closed stdout is not a failure.
            let _ = writeln!(std::io::stdout(), "wrote {written} to `{}`", arguments.out.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut stderr = std::io::stderr();
            let _ = writeln!(stderr, "error: {error}");
            if let Some(hint) = error.hint() {
                let _ = writeln!(stderr, "hint: {hint}");
            }
            ExitCode::from(match error {
                Error::NotEmpty { .. } => 2,
                Error::Storage { .. } => 3,
            })
        }
    }
}
