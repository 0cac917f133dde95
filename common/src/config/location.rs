//! Paths and URLs as users write them become one kind of URL: `file:///…/` or `s3://bucket/…/`.
//!
//! Nothing is looked up, for a lake need not be there yet: `..` is resolved by name, links are not followed.

use std::path::Path;

use url::Url;

use super::fault::Flaw;
use crate::printable;

/// The folder or prefix that `text` names, seen from `folder`, which is absolute; always ends with `/`.
///
/// # Errors
/// What is wrong with it, to be said after its key.
pub(super) fn resolve(text: &str, folder: &Path) -> Result<Url, Flaw> {
    if text.trim().is_empty() {
        return Err(Flaw::new("is empty"));
    }
    let Some((scheme, _)) = text.split_once("://") else {
        if ["s3:", "file:"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(Flaw::new(format!("is `{}`, which lacks a slash of a URL", printable::url(text)))
                .hint("write `s3://bucket/prefix` or `file:///folder`".to_owned()));
        }
        return folder_url(&folder.join(text));
    };
    // User information before the path and a query after it may be secrets.
    let shown = printable::url(text);
    let url = Url::parse(text).map_err(|e| Flaw::new(format!("is `{shown}`, which is not a URL: {e}")))?;
    // Said first and without the text, for it may hold a secret.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Flaw::new("holds credentials").hint(secrets_hint()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Flaw::new(format!("is `{shown}`, behind which a `?` or `#` follows"))
            .hint("write `%3F` and `%23` where they are part of the path".to_owned()));
    }
    match url.scheme() {
        "file" => {
            let path = url.to_file_path().map_err(|()| {
                Flaw::new(format!("is `{shown}`, which names another machine"))
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
            Err(Flaw::new(format!("is `{shown}`, and `{scheme}` is not a storage that is known")).hint(hint.to_owned()))
        }
    }
}

/// Where secrets go instead.
pub(super) fn secrets_hint() -> String {
    "secrets belong in the environment (`AWS_SECRET_ACCESS_KEY`) or in an AWS profile, never in this file".to_owned()
}

fn folder_url(path: &Path) -> Result<Url, Flaw> {
    let unusable = || Flaw::new(format!("is `{}`, which is not a usable path", path.display()));
    let url = Url::from_directory_path(path).map_err(|()| unusable())?;
    // Parsing is what resolves `.` and `..`.
    Url::parse(url.as_str()).map_err(|_| unusable())
}

fn prefix_url(mut url: Url, text: &str) -> Result<Url, Flaw> {
    if url.host_str().is_none_or(str::is_empty) {
        return Err(
            Flaw::new(format!("is `{text}`, which names no bucket")).hint("write `s3://bucket/prefix`".to_owned())
        );
    }
    // Parsing resolves them, and a bucket has no folders to go up to.
    if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(Flaw::new(format!("is `{text}`, and a bucket has no folders `.` and `..`"))
            .hint("write the prefix as it is in the bucket".to_owned()));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}
