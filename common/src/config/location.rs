//! Resolves the paths and URLs of `lake.toml` to one form of URL: `file:///…/` or `s3://bucket/…/`.
//!
//! The file system is not accessed, because a lake may not exist yet. So `..` only removes the part
//! of the path before it, and symbolic links are not followed.

use std::path::Path;

use url::Url;

use super::diagnostics::Diagnostic;
use crate::printable;

/// Resolves `text` to the URL of a folder or prefix, which always ends with `/`. Relative paths
/// start from `folder`, which is absolute.
///
/// # Errors
/// The fault, worded to follow the setting's key.
pub(super) fn resolve(text: &str, folder: &Path) -> Result<Url, Diagnostic> {
    if text.trim().is_empty() {
        return Err(Diagnostic::new("is empty"));
    }
    let Some((scheme, _)) = text.split_once("://") else {
        // `s3:bucket` would otherwise be a relative path of that name.
        if ["s3:", "file:"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(Diagnostic::new(format!("is `{}`, which lacks a slash of a URL", printable::url(text)))
                .hint("write `s3://bucket/prefix` or `file:///folder`".to_owned()));
        }
        return folder_url(&folder.join(text));
    };
    // Messages omit user information and query, which may be secrets.
    let shown = printable::url(text);
    let url = Url::parse(text).map_err(|e| Diagnostic::new(format!("is `{shown}`, which is not a URL: {e}")))?;
    // Checked first, and reported without the text, which may contain a secret.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Diagnostic::new("contains credentials").hint(secrets_hint()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Diagnostic::new(format!("is `{shown}`, which has a `?` or `#` after its path"))
            .hint("write `%3F` and `%23` where they are part of the path".to_owned()));
    }
    match url.scheme() {
        "file" => {
            let path = url.to_file_path().map_err(|()| {
                Diagnostic::new(format!("is `{shown}`, which names another machine"))
                    .hint("write a path, or `file:///` and an absolute path".to_owned())
            })?;
            folder_url(&path)
        }
        "s3" => prefix_url(url, text),
        _ => {
            let hint = match scheme {
                "s3a" | "s3n" => "did you mean `s3`?",
                _ => "write a path, `file:///…` or `s3://bucket/prefix`",
            };
            Err(Diagnostic::new(format!("is `{shown}`, but storage `{scheme}` is not supported")).hint(hint.to_owned()))
        }
    }
}

/// Returns the hint for a user who wrote a secret into `lake.toml`.
pub(super) fn secrets_hint() -> String {
    "secrets belong in the environment (`AWS_SECRET_ACCESS_KEY`) or in an AWS profile, never in this file".to_owned()
}

fn folder_url(path: &Path) -> Result<Url, Diagnostic> {
    let unusable = || Diagnostic::new(format!("is `{}`, which is not a usable path", path.display()));
    let url = Url::from_directory_path(path).map_err(|()| unusable())?;
    // Parsing the URL resolves `.` and `..`.
    Url::parse(url.as_str()).map_err(|_| unusable())
}

fn prefix_url(mut url: Url, text: &str) -> Result<Url, Diagnostic> {
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Diagnostic::new(format!("is `{text}`, which names no bucket"))
            .hint("write `s3://bucket/prefix`".to_owned()));
    }
    // URL parsing would resolve these segments, but S3 keys are not paths.
    if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(Diagnostic::new(format!("is `{text}`, but a bucket has no folders `.` and `..`"))
            .hint("write the prefix as it is in the bucket".to_owned()));
    }
    // Without the `/`, a prefix would also match keys that only start with its name.
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}
