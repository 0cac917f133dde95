//! `ui`: serves pages about the lake.

use std::net::SocketAddr;
use std::path::Path;

use lakewright_common::config::resolved::Config;
use lakewright_common::error::{Context, Error, Result};

/// Serves the pages until the process is interrupted. Reads the token from a file, because other
/// users of the machine can see arguments.
///
/// # Errors
/// A configuration error if the file cannot be read; the errors of [`crate::ui::serve`].
pub(super) async fn serve(config: &Config, listen: SocketAddr, token_file: Option<&Path>) -> Result<()> {
    let token = match token_file {
        None => None,
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .context(|| Error::configuration(format!("cannot read the token file `{}`", file.display())))?;
            Some(text.trim().to_owned())
        }
    };
    crate::ui::serve(config, listen, token).await
}
