"""Checks ledger, staging and quarantine of the newest version against the ground truth (I1)."""
from collections import Counter

from lake import difference, tuples
from truth import as_table


def check(lake):
    for name, source in lake.sources.items():
        state = (lake.newest or {"sources": {}})["sources"].get(name)
        if state is None:
            lake.expect(not lake.objects[name], "ledger.missing", f"no object of source `{name}` was ingested")
            continue
        check_ledger(lake, name, state)
        check_staging(lake, source, state)
        check_quarantine(lake, name, state)


def check_ledger(lake, name, state):
    expected = lake.objects[name]
    seen = Counter()
    for file in state["ledger"]:
        table = lake.parquet(file["path"])
        for entry in table.to_pylist() if table is not None else []:
            key = entry["file_name"]
            seen[key] += 1
            check_entry(lake, name, entry, expected.get(key))
    twice = [key for key, times in seen.items() if times > 1]
    lake.expect(not twice, "ledger.twice", f"`{name}`: {twice[:3]} were ingested more than once")
    missing = sorted(expected.keys() - seen.keys())
    lake.expect(not missing, "ledger.missing", f"`{name}`: {len(missing)} objects were not ingested, such as `{(missing or [''])[0]}`")


def check_entry(lake, name, entry, found):
    key = entry["file_name"]
    if found is None:
        lake.violated("ledger.unknown", f"`{name}` has no object `{key}`")
        return
    for column, expected in (("file_size", found.bytes), ("row_parsed", found.records), ("row_count", len(found.rows)),
                             ("error_count", len(found.rejected))):
        lake.expect(entry[column] == expected, f"ledger.{column}", f"`{key}` of `{name}`: {entry[column]}, the object has {expected}")
    manifest = lake.manifests.get(entry["commit"])
    lake.expect(manifest is not None and manifest["run"] == entry["run_id"], "ledger.commit",
                f"`{key}` of `{name}` names commit {entry['commit']} of run {entry['run_id']}")


def check_staging(lake, source, state):
    rows = [row for found in lake.objects[source.name].values() for row in found.rows]
    columns = list(source.fields)
    staged = lake.rows_of(state["staging"], columns, {})
    differs = difference(Counter(tuples(as_table(source, rows))), staged)
    lake.expect(not differs, "staging.rows", f"`{source.name}`: {differs}")


def check_quarantine(lake, name, state):
    expected = Counter((key, *place) for key, found in lake.objects[name].items() for place in found.rejected)
    found = lake.rows_of(state["quarantine"], ["object", "byte_offset", "line", "text"], {})
    differs = difference(expected, found)
    lake.expect(not differs, "quarantine.rows", f"`{name}`: {differs}")
