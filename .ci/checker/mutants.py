#!/usr/bin/env python3
"""mutants.py CONFIG --lake LAKE: checks that the checker finds damage.

Copies an intact lake, damages the copy in one way after another, and expects the violation with the
right name each time. The lake must have the tables of the default model.
"""
import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from lake import Request
from promises import violations


def newest(lake):
    return max((lake / "_lake/manifest").glob("*.json"))


def edit_manifest(lake, change):
    path = newest(lake)
    manifest = json.loads(path.read_text().splitlines()[0])
    change(manifest)
    path.write_text(json.dumps(manifest))


def a_file(lake, table="songplays"):
    manifest = json.loads(newest(lake).read_text().splitlines()[0])
    state = next(state for state in manifest["tables"] if state["name"] == table)
    return lake / state["files"][0]["path"]


def rewrite(path, change):
    pq.write_table(change(pq.ParquetFile(path).read()), path)


def last_entry(lake, table="songplays"):
    return max((lake / table / "_delta_log").glob("*.json"))


def edit_entry(lake, change):
    path = last_entry(lake)
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(action) + "\n" for action in change(actions)))


def without_adds(actions):
    return [action for action in actions if "add" not in action][:4] + [action for action in actions if "add" in action][1:]


def with_txn(version):
    def change(actions):
        for action in actions:
            if "txn" in action:
                action["txn"]["version"] = version
        return actions
    return change


def copy_entry(lake):
    path = last_entry(lake)
    shutil.copy(path, path.with_name(f"{int(path.stem) + 1:020}.json"))


def edit_latest(lake):
    path = lake / "_lake/consistent/latest"
    latest = json.loads(path.read_text())
    latest["tables"]["songplays"]["version"] += 1
    path.write_text(json.dumps(latest))


def add_row_to_manifest(manifest):
    manifest["tables"][0]["files"][0]["rows"] += 1


def staging(manifest, source="events"):
    return manifest["sources"][source]["staging"]


# Damage to the lake, and the violation that must be found.
MUTANTS = {
    "a table's file is deleted": (lambda lake: a_file(lake).unlink(), "file.exists"),
    "a table's file is cut": (lambda lake: a_file(lake).write_bytes(a_file(lake).read_bytes()[:-1]), "file.size"),
    "a bit of a table's file is flipped": (lambda lake: flip(a_file(lake), 40), "file.digest"),
    "a bit of a manifest is flipped": (lambda lake: flip(newest(lake), -10), "manifest.digest"),
    "a table lost a row": (lambda lake: rewrite(a_file(lake), lambda table: table.slice(1)), "file.rows"),
    "a table has a row twice": (lambda lake: rewrite(a_file(lake), lambda table: table.take([0, *range(table.num_rows)])), "table.rows"),
    "two values of a table are swapped": (lambda lake: rewrite(a_file(lake), swap), "table.rows"),
    "a manifest is missing": (lambda lake: shutil.move(newest(lake), newest(lake).with_name(f"{9:020}.json")), "manifest.numbers"),
    "a manifest counts a row too many": (lambda lake: edit_manifest(lake, add_row_to_manifest), "file.rows"),
    "a manifest lost a staging file": (lambda lake: edit_manifest(lake, lambda manifest: staging(manifest).pop()), "staging.rows"),
    "a manifest names a file twice": (lambda lake: edit_manifest(lake, lambda m: staging(m).append(staging(m)[0])), "file.twice"),
    "a manifest is of another format": (lambda lake: edit_manifest(lake, lambda manifest: manifest.update(format=99)), "manifest.format"),
    "a manifest is of another run": (lambda lake: edit_manifest(lake, lambda manifest: manifest.update(run="0" * 36)), "file.run"),
    "an object is twice in the ledger": (lambda lake: rewrite(ledger(lake), lambda table: table.take([0, *range(table.num_rows)])), "ledger.twice"),
    "an object is not in the ledger": (lambda lake: rewrite(ledger(lake), lambda table: table.slice(1)), "ledger.missing"),
    "the log lost a file": (lambda lake: edit_entry(lake, without_adds), "delta.files"),
    "the log has an entry twice": (copy_entry, "delta.added_twice"),
    "the log is ahead of the manifests": (lambda lake: edit_entry(lake, with_txn(99)), "delta.ahead"),
    "the manifest is of another lake": (lambda lake: edit_manifest(lake, lambda manifest: manifest.update(lake_id="x")), "delta.lake_id"),
    "the log is behind": (lambda lake: last_entry(lake).unlink(), "delta.behind"),
    "another program wrote to the log": (lambda lake: edit_entry(lake, lambda all: [a for a in all if "txn" not in a]), "delta.foreign"),
    "a bit of the log is flipped": (lambda lake: flip(last_entry(lake), 20), "consistent.digest"),
    "the versions do not belong together": (edit_latest, "consistent.versions"),
    "nothing says which versions belong together": (lambda lake: (lake / "_lake/consistent/latest").unlink(), "consistent.readable"),
}


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def swap(table):
    column = table.column("songplay_id").to_pylist()
    column[0] = column[0] + "x"
    return table.set_column(table.column_names.index("songplay_id"), table.field("songplay_id"), [column])


def ledger(lake):
    manifest = json.loads(newest(lake).read_text().splitlines()[0])
    return lake / manifest["sources"]["events"]["ledger"][0]["path"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("config", type=Path)
    arguments.add_argument("--lake", type=Path, required=True)
    given = arguments.parse_args()
    clean = violations(Request(given.config, given.lake))
    if clean:
        sys.exit(f"error: the lake is not in order to begin with: {clean[0]}")
    missed = []
    for what, (damage, expected) in MUTANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            lake = Path(folder) / "lake"
            shutil.copytree(given.lake, lake)
            damage(lake)
            names = {violation.name for violation in violations(Request(given.config, lake))}
        print(f"{'found' if expected in names else 'MISSED'}: {what} ({expected})")
        if expected not in names:
            missed.append(f"{what}: expected `{expected}`, found {sorted(names)}")
    for miss in missed:
        print(f"error: {miss}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
