//! Patterns that select the objects of a source: the end of its `url`, `include` and `exclude`.
//!
//! Patterns are those of `globset`: `*` and `?` match within a segment of a key, `**` matches any
//! segments, `[a-z]` one character, `{a,b}` one of several texts. As in `.gitignore`, a pattern of
//! `include` or `exclude` without a `/` can match in every folder, a pattern that matches a folder
//! matches everything below it, and a pattern that ends with `/` matches only folders.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use percent_encoding::percent_decode_str;

/// Characters that make a text a pattern.
const SPECIAL: [char; 4] = ['*', '?', '[', '{'];
/// Extensions of names of objects. A `url` without a pattern that ends with such a name is the URL
/// of one object.
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
        let special = text[path..].find(SPECIAL).map(|at| path + at);
        // The query of a URL is a fault, which is reported with a hint.
        let is_query = special.is_some_and(|at| path > 0 && text[at..].starts_with('?') && text[at..].contains('='));
        let (before, is_glob) = match special {
            Some(at) if !is_query => (&text[..at], true),
            _ => (text, false),
        };
        let (root, end) = match before[path..].rfind('/') {
            Some(slash) => text.split_at(path + slash + 1),
            // A URL must name a bucket before the pattern.
            None if path > 0 => return (text, None),
            None => (".", text),
        };
        if is_glob {
            let glob = if path > 0 { decoded(end) } else { end.to_owned() };
            return (root, Some(Self::Glob(glob)));
        }
        let extension = end.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        if is_query || !extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str())) {
            return (text, None);
        }
        let name = if path > 0 { percent_decode_str(end).decode_utf8_lossy().into_owned() } else { end.to_owned() };
        (root, Some(Self::Name(name)))
    }

    /// Returns the text with which all selected keys start.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Glob(glob) => {
                glob.split([SPECIAL.as_slice(), &['\\']].concat().as_slice()).next().unwrap_or_default()
            }
        }
    }

    /// Returns the pattern for messages, as a user would write it.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Glob(text) => text,
        }
    }
}

/// Decodes the `%` of a URL. A decoded character is never a special one.
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
    include: Option<GlobSet>,
    exclude: Option<GlobSet>,
    /// Folders of which everything is excluded.
    excluded_folders: Option<GlobSet>,
}

#[derive(Debug)]
enum UrlMatcher {
    Name {
        name: String,
    },
    /// Objects, and the folders above them. `None`: they can be in any folder.
    Glob {
        objects: GlobSet,
        folders: Option<GlobSet>,
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
            Some(UrlPattern::Name(name)) => Some(UrlMatcher::Name { name: name.clone() }),
            Some(UrlPattern::Glob(pattern)) => {
                let folders =
                    folders_above(pattern).map(|above| set(above.into_iter().map(|folder| (pattern, folder))));
                Some(UrlMatcher::Glob { objects: set([(pattern, pattern.clone())])?, folders: folders.transpose()? })
            }
        };
        let include = patterns.include.iter().flat_map(|text| keys(text).map(move |pattern| (text, pattern)));
        let exclude = patterns.exclude.iter().flat_map(|text| keys(text).map(move |pattern| (text, pattern)));
        let folders = patterns.exclude.iter().map(|text| (text, anywhere(text)));
        Ok(Self {
            url,
            include: (!patterns.include.is_empty()).then(|| set(include)).transpose()?,
            exclude: (!patterns.exclude.is_empty()).then(|| set(exclude)).transpose()?,
            excluded_folders: (!patterns.exclude.is_empty()).then(|| set(folders)).transpose()?,
        })
    }

    /// Returns whether an object is selected, by its key relative to the root.
    #[must_use]
    pub fn selects(&self, key: &str) -> bool {
        let is_of_url = match &self.url {
            None => true,
            Some(UrlMatcher::Name { name }) => key == name || is_below(key, name),
            Some(UrlMatcher::Glob { objects, .. }) => objects.is_match(key),
        };
        is_of_url
            && self.include.as_ref().is_none_or(|include| include.is_match(key))
            && self.exclude.as_ref().is_none_or(|exclude| !exclude.is_match(key))
    }

    /// Returns whether objects below a folder may be selected, by the key of the folder without a
    /// `/` at its end.
    #[must_use]
    pub fn may_select_below(&self, folder: &str) -> bool {
        let is_of_url = match &self.url {
            None | Some(UrlMatcher::Glob { folders: None, .. }) => true,
            Some(UrlMatcher::Name { name }) => folder == name || is_below(folder, name),
            Some(UrlMatcher::Glob { folders: Some(folders), .. }) => folders.is_match(folder),
        };
        let mut above = folder.match_indices('/').map(|(slash, _)| &folder[..slash]).chain([folder]);
        let is_excluded =
            self.excluded_folders.as_ref().is_some_and(|folders| above.any(|folder| folders.is_match(folder)));
        is_of_url && !is_excluded
    }
}

fn is_below(key: &str, folder: &str) -> bool {
    key.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Returns the patterns of whole keys that a pattern of `include` or `exclude` stands for.
fn keys(text: &str) -> impl Iterator<Item = String> {
    let whole = anywhere(text);
    let below = format!("{whole}/**");
    (!text.ends_with('/')).then_some(whole).into_iter().chain([below])
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

/// Returns patterns of the folders above the objects of a pattern. Returns `None` if a group in
/// braces contains a `/`, because such a pattern has no fixed number of segments.
fn folders_above(pattern: &str) -> Option<Vec<String>> {
    let (mut folders, mut depth) = (Vec::new(), 0_u32);
    for (at, c) in pattern.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '/' if depth > 0 => return None,
            '/' => folders.push(pattern[..at].to_owned()),
            _ => {}
        }
    }
    Some(folders)
}

/// Compiles patterns. Each comes with the text of a user that it stands for.
fn set<'a>(patterns: impl IntoIterator<Item = (&'a String, String)>) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for (text, pattern) in patterns {
        let glob = GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(true).build();
        set.add(glob.map_err(|e| format!("is `{text}`, which is not a pattern: {}", e.kind()))?);
    }
    set.build().map_err(|e| format!("has patterns that are too large: {}", e.kind()))
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
            ("data/{a,b}/x", "data/", pattern("{a,b}/x")),
            ("/data/[ab]", "/data/", pattern("[ab]")),
            ("s3://bucket/logs", "s3://bucket/logs", None),
            ("s3://bucket", "s3://bucket", None),
            ("s3://bucket.json", "s3://bucket.json", None),
            ("s3://bucket/a%20b.json", "s3://bucket/", name("a b.json")),
            ("s3://b/logs/*/part-?.json.gz", "s3://b/logs/", pattern("*/part-?.json.gz")),
            ("s3://b/a%5B1%5D/x", "s3://b/a%5B1%5D/x", None),
            ("s3://b/a%20*%2a%5b", "s3://b/", pattern("a *[*][[]")),
            ("s3://b/a.json?versionId=3", "s3://b/a.json?versionId=3", None),
            ("s3://b*/a", "s3://b*/a", None),
            ("file:///data/*.json", "file:///data/", pattern("*.json")),
        ] {
            assert_eq!(UrlPattern::split(text), (root, end), "{text}");
        }
    }

    #[test]
    fn listings_can_start_with_the_text_before_the_first_special_character() {
        for (text, prefix) in [("a.json", "a.json"), ("2024-*/x", "2024-"), ("*", ""), ("a/b\\*?", "b")] {
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
            ("{x,z}/*", &[], &[], &["x/a.json", "z/c.json"]),
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
            ("{logs/a,b}/x.json", &[], "lake", true),
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
        for text in ["a[", "{a", "a/[z-a]"] {
            let fault = ObjectMatcher::new(&ObjectPatterns { include: vec![text.to_owned()], ..Default::default() });
            assert!(fault.unwrap_err().contains("is not a pattern"), "{text}");
        }
    }
}
