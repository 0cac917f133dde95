"""Checks the Delta log of each table, replayed from its raw JSON, and `consistent/latest` against
the manifests (I6).
"""
import json
from urllib.parse import unquote

import deltalake

from xxh64 import xxh64

APPLICATION = "lakewright"


def check(lake):
    if lake.newest is None:
        return
    versions = {}
    for table in lake.newest["tables"]:
        versions[table["name"]] = check_log(lake, table)
    check_consistent(lake, versions)


def check_log(lake, table):
    """Replays one log; returns the Delta version at each manifest that changed the table."""
    name, versions, live, last = table["name"], {}, {}, 0
    entries = sorted((lake.root / name / "_delta_log").glob("*.json"))
    numbers = [int(path.stem) for path in entries]
    lake.expect(numbers == list(range(len(numbers))), "delta.versions", f"`{name}` has versions {numbers}")
    replayed, lake_id = {}, None
    for version, path in zip(numbers, entries):
        actions = [json.loads(line) for line in path.read_text().splitlines() if line]
        manifest = check_entry(lake, name, version, actions, last)
        for action in actions:
            replay(lake, name, version, action, live)
            if "metaData" in action:
                lake_id = action["metaData"]["configuration"].get("lakewright.lake_id")
        last = manifest if manifest is not None else last
        if manifest is not None:
            versions[manifest], replayed[manifest] = version, dict(live)
    for number, files in replayed.items():
        compare(lake, name, number, files)
    lake.expect(last == table["changed_in"], "delta.behind", f"the log of `{name}` is at manifest {last}, the table changed in {table['changed_in']}")
    expected = lake.newest.get("lake_id")
    lake.expect(lake_id == expected, "delta.lake_id", f"the log of `{name}` is of lake {lake_id}, the manifests are of {expected}")
    check_with_library(lake, table, numbers)
    return versions


def check_entry(lake, name, version, actions, last):
    """Returns the manifest that an entry publishes. Its `txn` must belong to the manifest's run and
    never decrease.
    """
    numbers = [action["txn"]["version"] for action in actions if action.get("txn", {}).get("appId") == APPLICATION]
    if not lake.expect(len(numbers) == 1, "delta.foreign", f"version {version} of `{name}` has {len(numbers)} transactions of ours"):
        return None
    number, newest = numbers[0], max(lake.manifests)
    lake.expect(number >= last, "delta.order", f"version {version} of `{name}` is of manifest {number}, after {last}")
    if not lake.expect(number <= newest, "delta.ahead", f"version {version} of `{name}` is of manifest {number}, the newest is {newest}"):
        return None
    info = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    run = lake.manifests.get(number, {}).get("run")
    lake.expect(info.get("lakewright.run") == run, "delta.run", f"version {version} of `{name}` is of run {info.get('lakewright.run')}, manifest {number} of {run}")
    return number


def replay(lake, name, version, action, live):
    if "add" in action:
        path = unquote(action["add"]["path"])
        lake.expect(path not in live, "delta.added_twice", f"version {version} of `{name}` adds `{path}` again")
        live[path] = action["add"]
    elif "remove" in action:
        path = unquote(action["remove"]["path"])
        lake.expect(live.pop(path, None) is not None, "delta.removed_twice", f"version {version} of `{name}` removes `{path}`, which is not live")


def compare(lake, name, number, live):
    """Checks that the live files after a manifest's entry are those of the manifest, with size,
    rows and partition.
    """
    manifest = lake.manifests.get(number, {"tables": []})
    table = next((table for table in manifest["tables"] if table["name"] == name), None)
    if not lake.expect(table is not None, "delta.table", f"manifest {number} has no table `{name}`"):
        return
    named = {file["path"].removeprefix(f"{name}/"): file for file in table["files"]}
    lake.expect(live.keys() == named.keys(), "delta.files",
                f"`{name}` at manifest {number}: only in the log {sorted(live.keys() - named.keys())[:2]}, only in the manifest {sorted(named.keys() - live.keys())[:2]}")
    for path in live.keys() & named.keys():
        add, file = live[path], named[path]
        rows = json.loads(add["stats"])["numRecords"] if add.get("stats") else file["rows"]
        is_same = (add["size"], rows, add["partitionValues"]) == (file["bytes"], file["rows"], file["partition_values"])
        lake.expect(is_same, "delta.file", f"`{name}` at manifest {number}: the log says {add} of {file}")


def check_with_library(lake, table, numbers):
    """Checks that the `deltalake` library, which also reads checkpoints, sees the same version and
    files.
    """
    name = table["name"]
    if not numbers:
        return
    try:
        delta = deltalake.DeltaTable(str(lake.root / name))
        version, uris = delta.version(), delta.file_uris()
    except Exception as error:  # Any exception means that other programs cannot read the table.
        lake.violated("delta.readable", f"`{name}`: {error}")
        return
    lake.expect(version == numbers[-1], "delta.version", f"`{name}`: deltalake sees version {version}, the log has {numbers[-1]}")
    found = sorted(unquote(uri).rsplit("/", 1)[-1] for uri in uris)
    named = sorted(unquote(file["path"]).rsplit("/", 1)[-1] for file in table["files"])
    lake.expect(found == named, "delta.library", f"`{name}`: deltalake reads {len(found)} files, the manifest names {len(named)}")


def check_consistent(lake, versions):
    path = lake.root / "_lake/consistent/latest"
    try:
        latest = json.loads(path.read_text())
        number, tables = latest["manifest"], {name: table["version"] for name, table in latest["tables"].items()}
    except (OSError, ValueError, KeyError) as error:
        lake.violated("consistent.readable", f"`consistent/latest`: {error!r}")
        return
    newest = max(lake.manifests)
    lake.expect(number == newest, "consistent.latest", f"`consistent/latest` is of manifest {number}, the newest is {newest}")
    for table in lake.manifests.get(number, {"tables": []})["tables"]:
        name = table["name"]
        expected = versions.get(name, {}).get(table["changed_in"])
        lake.expect(tables.get(name) == expected, "consistent.versions",
                    f"`consistent/latest` has version {tables.get(name)} of `{name}`, manifest {number} is version {expected}")
        check_entry_digest(lake, latest["tables"].get(name, {}), name)


def check_entry_digest(lake, published, name):
    """Checks that a log entry has the digest that was published with its version, if one was
    published.
    """
    entry = lake.root / name / f"_delta_log/{published.get('version', 0):020}.json"
    if published.get("digest") and entry.is_file():
        digest = xxh64(entry.read_bytes())
        lake.expect(digest == published["digest"], "consistent.digest", f"`{entry.name}` of `{name}` has digest {digest}, published is {published['digest']}")
