//! The files of the pages, which are part of the binary.

use axum::extract::Request;
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// A file: its path, its type and its bytes.
struct File {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($content_type:ident $path:literal;)+) => {
        /// All files in `static/`.
        const FILES: &[File] = &[$(File {
            path: $path,
            content_type: $content_type,
            bytes: include_bytes!(concat!("static/", $path)),
        },)+];
    };
}

files! {
    CSS "app.css";
    SVG "icon.svg";
    HTML "index.html";
    SCRIPT "js/api.js";
    SCRIPT "js/app.js";
    SCRIPT "js/chart.js";
    SCRIPT "js/code.js";
    SCRIPT "js/dom.js";
    SCRIPT "js/escape.js";
    SCRIPT "js/format.js";
    SCRIPT "js/line.js";
    SCRIPT "js/pages/compare.js";
    SCRIPT "js/pages/diff.js";
    SCRIPT "js/pages/lineage.js";
    SCRIPT "js/pages/lineage_draw.js";
    SCRIPT "js/pages/lineage_graph.js";
    SCRIPT "js/pages/lineage_layout.js";
    SCRIPT "js/pages/lineage_panel.js";
    SCRIPT "js/pages/quarantine.js";
    SCRIPT "js/pages/quarantine_record.js";
    SCRIPT "js/pages/query.js";
    SCRIPT "js/pages/run.js";
    SCRIPT "js/pages/run_gantt.js";
    SCRIPT "js/pages/run_rates.js";
    SCRIPT "js/pages/run_steps.js";
    SCRIPT "js/pages/run_tasks.js";
    SCRIPT "js/pages/runs.js";
    SCRIPT "js/pages/settings.js";
    SCRIPT "js/pages/source.js";
    SCRIPT "js/pages/sources.js";
    SCRIPT "js/pages/table.js";
    SCRIPT "js/pages/table_column.js";
    SCRIPT "js/pages/tables.js";
    SCRIPT "js/parts.js";
    SCRIPT "js/router.js";
    SCRIPT "js/table.js";
    SCRIPT "js/theme.js";
    CSS "vendor/uplot-1.6.32.min.css";
    SCRIPT "vendor/uplot-1.6.32.min.js";
    TEXT "vendor/uplot.LICENSE.txt";
}

/// Returns the file of a path. Every other path without an extension is a page, which `index.html`
/// shows.
pub(super) async fn page(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = request.uri().path().trim_start_matches('/');
    let name = if has_extension(path) { path } else { "index.html" };
    let Some(file) = FILES.iter().find(|file| file.path == name) else {
        return (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    };
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(file.bytes)[..8]));
    let is_known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, file.content_type)], file.bytes).into_response()
    };
    // A new version of the program may have other files.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Whether the last part of a path has the extension of one of the files. The name of a table cannot
/// have a dot.
fn has_extension(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| matches!(extension, "html" | "css" | "js" | "svg" | "txt"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn below(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, root, found);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_binary() {
        let root = Path::new("src/ui/static");
        let mut found = BTreeSet::new();
        below(root, root, &mut found);
        let files: BTreeSet<String> = FILES.iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(files, found);
        for file in FILES {
            let extension = file.path.rsplit_once('.').unwrap().1;
            let expected = match extension {
                "html" => HTML,
                "css" => CSS,
                "js" => SCRIPT,
                "svg" => SVG,
                _ => TEXT,
            };
            assert_eq!(file.content_type, expected, "{}", file.path);
        }
    }
}
