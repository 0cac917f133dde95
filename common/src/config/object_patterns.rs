//! Patterns that select the objects of a source: the end of its `url`, `include` and `exclude`.
//!
//! `*` and `?` match within a segment of a key, `**` matches any number of segments, and `[a-z]`
//! matches one character. As in `.gitignore`, a pattern of `include` or `exclude` without a `/` can
//! match in every folder, a pattern that matches a folder matches everything below it, and a pattern
//! that ends with `/` matches only folders.

use glob::{MatchOptions, Pattern};
use percent_encoding::percent_decode_str;

/// Characters that make a text a pattern.
const SPECIAL: [char; 3] = ['*', '?', '['];
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };
/// Extensions that mark the name of an object. A `url` without a pattern that ends with one of them
/// names one object.
const EXTENSIONS: [&str; 17] = [
    "json", "jsonl", "ndjson", "geojson", "log", "txt", "gz", "gzip", "zst", "zstd", "bz2", "bzip2", "xz", "snappy",
    "sz", "zip", "lz4",
];

/// Patterns of a source. Without any pattern, every object below its root is selected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectPatterns {
    /// End of `url` below the root; `None` if `url` is a folder or a prefix.
    pub url: Option<UrlPattern>,
    /// An object must match one of these patterns, unless there are none.
    pub include: Vec<String>,
    /// An object must match none of these patterns.
    pub exclude: Vec<String>,
}

/// End of a `url` that does not name a folder or a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlPattern {
    /// Name of an object, or of a folder with a name like that of an object.
    Name(String),
    Glob(String),
}

impl UrlPattern {
    /// Splits the text of a `url` into its root and its pattern. If there is no pattern, the root
    /// is the whole text.
    pub(super) fn split(text: &str) -> (&str, Option<Self>) {
        let path = text.find("://").map_or(0, |scheme| scheme + "://".len());
        // The query of a URL is a fault, which is reported with a hint.
        if path > 0 && has_query(text) {
            return (text, None);
        }
        let special = text[path..].find(SPECIAL).map(|at| path + at);
        let before = &text[..special.unwrap_or(text.len())];
        let (root, end) = match before[path..].rfind('/') {
            Some(slash) => text.split_at(path + slash + 1),
            // A URL must name a bucket before the pattern.
            None if path > 0 => return (text, None),
            None => (".", text),
        };
        let is_encoded = path > 0;
        if special.is_some() {
            return (root, Some(Self::Glob(if is_encoded { decoded(end) } else { end.to_owned() })));
        }
        if !has_extension_of_object(end) {
            return (text, None);
        }
        let decoded = || percent_decode_str(end).decode_utf8_lossy().into_owned();
        (root, Some(Self::Name(if is_encoded { decoded() } else { end.to_owned() })))
    }

    /// Returns the text with which all selected keys start.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Glob(glob) => glob.split(SPECIAL).next().unwrap_or_default(),
        }
    }

    /// Returns the pattern for messages. The `%` of a URL are decoded.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Glob(text) => text,
        }
    }
}

/// Whether the last segment of a URL has a query, such as `?versionId=3`.
fn has_query(url: &str) -> bool {
    let last = url.rsplit('/').next().unwrap_or_default();
    last.split_once('?').is_some_and(|(_, query)| query.contains('='))
}

fn has_extension_of_object(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// Decodes the `%` of a URL. Outside of brackets, a decoded character is never a special one.
fn decoded(pattern: &str) -> String {
    let mut escaped = pattern.to_owned();
    for special in SPECIAL {
        for code in [format!("%{:02X}", special as u32), format!("%{:02x}", special as u32)] {
            escaped = escaped.replace(&code, &format!("[{special}]"));
        }
    }
    percent_decode_str(&escaped).decode_utf8_lossy().into_owned()
}

/// Compiled patterns of a source.
#[derive(Debug)]
pub struct ObjectMatcher {
    url: Option<UrlMatcher>,
    /// `None` includes every object.
    include: Option<Vec<Pattern>>,
    exclude: Vec<Pattern>,
    /// Patterns of the folders whose whole content is excluded.
    excluded_folders: Vec<Pattern>,
}

#[derive(Debug)]
enum UrlMatcher {
    Name(String),
    /// A pattern of objects, and patterns of the folders above them.
    Glob {
        objects: Pattern,
        folders: Vec<Pattern>,
    },
}

impl ObjectMatcher {
    /// Compiles the patterns of a source.
    ///
    /// # Errors
    /// The fault of a pattern, worded for a message.
    pub fn new(patterns: &ObjectPatterns) -> Result<Self, String> {
        let url = match &patterns.url {
            None => None,
            Some(UrlPattern::Name(name)) => Some(UrlMatcher::Name(name.clone())),
            Some(UrlPattern::Glob(text)) => {
                if text.ends_with('/') {
                    return Err(format!("is `{text}`, which is a pattern of folders; end it with `/**`"));
                }
                // A `**` at the end matches folders too.
                let last = text.ends_with("**").then_some(text.as_str());
                let above = text.match_indices('/').map(|(slash, _)| &text[..slash]).chain(last);
                let folders = above.map(|folder| compile(text, folder));
                Some(UrlMatcher::Glob { objects: compile(text, text)?, folders: folders.collect::<Result<_, _>>()? })
            }
        };
        let folders = patterns.exclude.iter().map(|text| compile(text, &anywhere(text)));
        Ok(Self {
            url,
            include: (!patterns.include.is_empty()).then(|| of_keys(&patterns.include)).transpose()?,
            exclude: of_keys(&patterns.exclude)?,
            excluded_folders: folders.collect::<Result<_, _>>()?,
        })
    }

    /// Returns whether an object is selected, by its key relative to the root.
    #[must_use]
    pub fn selects(&self, key: &str) -> bool {
        let is_of_url = match &self.url {
            None => true,
            Some(UrlMatcher::Name(name)) => key == name || is_below(key, name),
            Some(UrlMatcher::Glob { objects, .. }) => objects.matches_with(key, OPTIONS),
        };
        is_of_url
            && self.include.as_ref().is_none_or(|include| matches_any(include, key))
            && !matches_any(&self.exclude, key)
    }

    /// Returns whether objects below a folder may be selected, by the key of the folder without a
    /// `/` at its end.
    #[must_use]
    pub fn may_select_below(&self, folder: &str) -> bool {
        let is_of_url = match &self.url {
            None => true,
            Some(UrlMatcher::Name(name)) => folder == name || is_below(folder, name),
            Some(UrlMatcher::Glob { folders, .. }) => matches_any(folders, folder),
        };
        let mut above = folder.match_indices('/').map(|(slash, _)| &folder[..slash]).chain([folder]);
        is_of_url && !above.any(|folder| matches_any(&self.excluded_folders, folder))
    }
}

fn is_below(key: &str, folder: &str) -> bool {
    key.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn matches_any(patterns: &[Pattern], key: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches_with(key, OPTIONS))
}

/// Compiles patterns of `include` or `exclude` to patterns of whole keys.
fn of_keys(texts: &[String]) -> Result<Vec<Pattern>, String> {
    let mut patterns = Vec::new();
    for text in texts {
        let whole = anywhere(text);
        if !text.ends_with('/') {
            patterns.push(compile(text, &whole)?);
        }
        patterns.push(compile(text, &format!("{whole}/**"))?);
    }
    Ok(patterns)
}

/// Returns a pattern of `include` or `exclude` as a pattern of keys of objects and folders.
fn anywhere(text: &str) -> String {
    let text = text.trim_end_matches('/');
    match text.strip_prefix('/') {
        Some(text) => text.to_owned(),
        None if text.contains('/') => text.to_owned(),
        None => format!("**/{text}"),
    }
}

/// Compiles a pattern that stands for the text of a user.
fn compile(text: &str, pattern: &str) -> Result<Pattern, String> {
    Pattern::new(pattern).map_err(|e| format!("is `{text}`, which is not a pattern: {}", e.msg))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<UrlPattern> {
        Some(UrlPattern::Name(text.to_owned()))
    }

    fn pattern(text: &str) -> Option<UrlPattern> {
        Some(UrlPattern::Glob(text.to_owned()))
    }

    #[test]
    fn a_url_is_split_before_the_segment_with_its_first_special_character() {
        for (text, root, end) in [
            ("data/logs", "data/logs", None),
            ("data/logs/", "data/logs/", None),
            ("data/v1.2", "data/v1.2", None),
            ("data/a.json", "data/", name("a.json")),
            ("a.JSON.GZ", ".", name("a.JSON.GZ")),
            ("data/out.json/", "data/out.json/", None),
            ("*.json", ".", pattern("*.json")),
            ("data/20*/a.json", "data/", pattern("20*/a.json")),
            ("data/{a}/x", "data/{a}/x", None),
            ("/data/[ab]", "/data/", pattern("[ab]")),
            ("s3://bucket/logs", "s3://bucket/logs", None),
            ("s3://bucket", "s3://bucket", None),
            ("s3://bucket.json", "s3://bucket.json", None),
            ("s3://bucket/a%20b.json", "s3://bucket/", name("a b.json")),
            ("s3://b/logs/*/part-?.json.gz", "s3://b/logs/", pattern("*/part-?.json.gz")),
            ("s3://b/a%5B1%5D/x", "s3://b/a%5B1%5D/x", None),
            ("s3://b/a%20*%2a%5b", "s3://b/", pattern("a *[*][[]")),
            ("s3://b/a.json?versionId=3", "s3://b/a.json?versionId=3", None),
            ("s3://b/*.json?versionId=3", "s3://b/*.json?versionId=3", None),
            ("s3://b/year=202?/month=01/*.json", "s3://b/", pattern("year=202?/month=01/*.json")),
            ("s3://b*/a", "s3://b*/a", None),
            ("file:///data/*.json", "file:///data/", pattern("*.json")),
        ] {
            assert_eq!(UrlPattern::split(text), (root, end), "{text}");
        }
    }

    #[test]
    fn listings_can_start_with_the_text_before_the_first_special_character() {
        for (text, prefix) in [("a.json", "a.json"), ("2024-*/x", "2024-"), ("*", ""), ("a/b[*]?", "b")] {
            let (_, end) = UrlPattern::split(text);
            assert_eq!(end.unwrap().prefix(), prefix, "{text}");
        }
    }

    fn matcher(url: &str, include: &[&str], exclude: &[&str]) -> ObjectMatcher {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let url = UrlPattern::split(url).1;
        ObjectMatcher::new(&ObjectPatterns { url, include: texts(include), exclude: texts(exclude) }).unwrap()
    }

    #[test]
    fn keys_are_selected_by_all_patterns() {
        let keys = ["a.json", "a.json/0", "b.csv", "x/a.json", "x/y/a.json", "x/y/b.json.gz", "z/c.json"];
        for (url, include, exclude, selected) in [
            ("in", &[][..], &[][..], &keys[..]),
            ("a.json", &[], &[], &["a.json", "a.json/0"]),
            ("*.json", &[], &[], &["a.json"]),
            ("**/*.json", &[], &[], &["a.json", "x/a.json", "x/y/a.json", "z/c.json"]),
            ("[xz]/*", &[], &[], &["x/a.json", "z/c.json"]),
            ("**", &[], &[], &keys),
            ("[x]/**", &[], &[], &["x/a.json", "x/y/a.json", "x/y/b.json.gz"]),
            ("in", &["*.json"], &[], &["a.json", "a.json/0", "x/a.json", "x/y/a.json", "z/c.json"]),
            ("in", &["/*.json"], &[], &["a.json", "a.json/0"]),
            ("in", &["y", "/z"], &[], &["x/y/a.json", "x/y/b.json.gz", "z/c.json"]),
            ("in", &[], &["x", "a.json/"], &["a.json", "b.csv", "z/c.json"]),
            ("in", &["*.json", "*.gz"], &["a.*"], &["x/y/b.json.gz", "z/c.json"]),
            ("in", &["x/"], &["y/"], &["x/a.json"]),
            ("in", &["x/*/*.json"], &[], &["x/y/a.json"]),
            ("in", &[], &["**/*.json", "**/0"], &["b.csv", "x/y/b.json.gz"]),
        ] {
            let matcher = matcher(url, include, exclude);
            let found: Vec<&str> = keys.into_iter().filter(|key| matcher.selects(key)).collect();
            assert_eq!(found, selected, "{url} {include:?} {exclude:?}");
            // A folder that is not searched contains no selected object.
            for key in found {
                for (slash, _) in key.match_indices('/') {
                    assert!(matcher.may_select_below(&key[..slash]), "{url} {include:?} {exclude:?}: {key}");
                }
            }
        }
    }

    #[test]
    fn folders_without_selected_objects_are_not_searched() {
        for (url, exclude, folder, expected) in [
            ("in", &[][..], "lake", true),
            ("a.json", &[], "lake", false),
            ("a.json", &[], "a.json", true),
            ("*/x.json", &[], "lake", true),
            ("*/x.json", &[], "lake/songs", false),
            ("[l]ogs/**/x.json", &[], "logs/a/b", true),
            ("[l]ogs/**/x.json", &[], "lake", false),
            ("[l]ogs/**", &[], "logs/a/b", true),
            ("[l]ogs/**", &[], "lake", false),
            ("**", &[], "lake", true),
            ("in", &["lake/"], "lake", false),
            ("in", &["lake/"], "lake/songs", false),
            ("in", &["lake/*"], "lake", true),
            ("in", &["archive"], "archive/2018", false),
            ("in", &["/archive"], "old/archive", true),
        ] {
            assert_eq!(matcher(url, &[], exclude).may_select_below(folder), expected, "{url} {exclude:?} {folder}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_pattern_is_refused() {
        for text in ["a[", "a**", "**a/b"] {
            let fault = ObjectMatcher::new(&ObjectPatterns { include: vec![text.to_owned()], ..Default::default() });
            assert!(fault.unwrap_err().contains("is not a pattern"), "{text}");
        }
    }
}
