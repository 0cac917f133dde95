//! Cycles of imports between files: neither file can be understood without the other.

use std::collections::{BTreeMap, BTreeSet};

use super::{File, report, rust_files_below};

#[test]
fn no_two_files_of_common_import_each_other() {
    let files = rust_files_below("common/src");
    let files: BTreeMap<String, &File> =
        files.iter().filter(|file| !file.is_test()).map(|file| (module_of(&file.path), file)).collect();
    let imports: BTreeMap<&str, BTreeSet<&str>> =
        files.iter().map(|(module, file)| (module.as_str(), imports(module, file, &files))).collect();
    let does_import = |one: &str, other: &str| imports.get(one).is_some_and(|imports| imports.contains(other));

    let mut faults = Vec::new();
    for (module, imported) in &imports {
        for other in imported.iter().filter(|other| module < *other && does_import(other, module)) {
            faults.push(format!("`{module}` and `{other}`"));
        }
    }
    report("two files of `common` do not import each other; move what both need to a third", faults);
}

/// Returns the module of a file, such as `read::json` of `common/src/read/json/mod.rs`.
fn module_of(path: &str) -> String {
    let path = path.trim_start_matches("common/src/").trim_end_matches(".rs").trim_end_matches("/mod");
    path.replace('/', "::")
}

/// Returns the files that the `use` statements of `file` name.
fn imports<'a>(module: &str, file: &File, files: &'a BTreeMap<String, &File>) -> BTreeSet<&'a str> {
    let code: String = file.code().map(|(_, line)| line.trim()).collect::<Vec<_>>().join(" ");
    let statements = code.split("use ").skip(1).filter_map(|rest| rest.split(';').next());
    let paths = statements.flat_map(|statement| leaves("", statement));
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let absolute = paths.filter_map(|path| match path.split_once("::")? {
        ("crate", rest) => Some(rest.to_owned()),
        ("super", rest) if parent.is_empty() => Some(rest.to_owned()),
        ("super", rest) => Some(format!("{parent}::{rest}")),
        // A path without a prefix is a child module's, or another crate's.
        _ => Some(format!("{module}::{path}")),
    });
    let owner = |path: String| {
        let mut prefixes = path.match_indices("::").map(|(end, _)| &path[..end]).collect::<Vec<_>>();
        prefixes.push(&path);
        let longest = prefixes.into_iter().rev().find_map(|prefix| files.get_key_value(prefix));
        longest.map(|(found, _)| found.as_str())
    };
    absolute.filter_map(owner).filter(|found| *found != module).collect()
}

/// Returns the paths of a `use` statement: `a::b` and `a::c::d` of `a::{b, c::d}`.
fn leaves(prefix: &str, tree: &str) -> Vec<String> {
    let Some((head, rest)) = tree.split_once('{') else {
        return vec![format!("{prefix}{}", tree.trim())];
    };
    let inside = rest.trim_end().trim_end_matches(',').strip_suffix('}').unwrap_or(rest);
    let mut depth = 0;
    let branches = inside.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    let prefix = format!("{prefix}{}", head.trim());
    branches.filter(|branch| !branch.trim().is_empty()).flat_map(|branch| leaves(&prefix, branch.trim())).collect()
}
