#!/usr/bin/env python3
"""foreign_commits.py COORDINATOR: checks that a lake notices commits of another program (deltalake)
to its tables.

Creates small lakes in a temporary folder. deltalake appends, deletes, updates, optimizes, merges,
restores or adds a constraint; other cases remove the newest manifest or restore older ones. After
each change, the check expects that

  - `run`, `check` and `publish` fail and name the table and the operation,
  - `query` warns and reads the lake's own rows,
  - `publish --overwrite` gives deltalake, DuckDB and the coordinator the same rows again,
  - the next run succeeds.

A commit that does not change the table must not stop a run. Exits with 1 and describes each
failure.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import deltalake
import pyarrow as pa

from outside_readers import with_deltalake, with_duckdb

CONFIG = """
[lake]
url = "lake"
[sources.rows]
url = "in"
[sources.rows.fields]
id = { type = "long", required = true }
p = "string"
[tables.kept]
key = ["id"]
partition_by = ["p"]
"""


class Lake:
    def __init__(self, coordinator, folder):
        self.coordinator, self.folder, self.table = coordinator, folder, folder / "lake" / "kept"
        (folder / "models").mkdir(parents=True)
        (folder / "in").mkdir()
        (folder / "lake.toml").write_text(CONFIG)
        (folder / "models" / "kept.sql").write_text("SELECT id, p FROM staging.rows")
        self.add(1, "a"), self.add(2, "b/c d"), self.add(3, "a")

    def add(self, number, text):
        (self.folder / "in" / f"{number}.json").write_text(json.dumps({"id": number, "p": text}))

    def do(self, *arguments):
        command = [self.coordinator, "--config", str(self.folder / "lake.toml"), *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LAKEWRIGHT__")}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    def delta(self):
        return deltalake.DeltaTable(str(self.table))

    def rows(self):
        """Returns the rows that three readers see, which must be equal."""
        done = self.do("--quiet", "query", "SELECT id, p FROM kept", "--json")
        require(done.returncode == 0, f"query ended with {done.returncode}: {done.stderr}")
        ours = in_order(json.loads(done.stdout))
        for name, read in {"deltalake": with_deltalake, "duckdb": with_duckdb}.items():
            theirs = in_order(read(self.table))
            require(theirs == ours, f"{name} reads {theirs}, the coordinator {ours}")
        return ours


def in_order(rows):
    return sorted((row["id"], row["p"]) for row in rows)


def require(holds, sentence):
    if not holds:
        raise AssertionError(sentence)


def more(*ids):
    return pa.table({"id": pa.array(ids, pa.int64()), "p": pa.array(["a"] * len(ids))})


def merge(table):
    merger = table.merge(more(1, 9), predicate="t.id = s.id", source_alias="s", target_alias="t")
    merger.when_matched_update({"p": "'merged'"}).when_not_matched_insert_all().execute()


# Changes to the table, and the operation that the error names.
HARMFUL = {
    "append": (lambda table: deltalake.write_deltalake(table, more(77), mode="append"), "WRITE"),
    "overwrite": (lambda table: deltalake.write_deltalake(table, more(77), mode="overwrite"), "WRITE"),
    "delete": (lambda table: table.delete("id = 1"), "DELETE"),
    "update": (lambda table: table.update(updates={"p": "'corrected'"}, predicate="id = 2"), "UPDATE"),
    "merge": (merge, "MERGE"),
    "optimize": (lambda table: table.optimize.z_order(["id"]), "OPTIMIZE"),
    "restore": (lambda table: table.restore(0), "RESTORE"),
    "constraint": (lambda table: table.alter.add_constraint({"small": "id < 100"}), "ADD CONSTRAINT"),
    "columns": (lambda table: table.alter.add_columns([deltalake.Field("more", "long")]), "ADD COLUMN"),
}
# A table feature cannot be removed: the log must be moved away and written again.
FEATURES = {
    "deletion vectors": (lambda table: table.alter.add_feature(deltalake.TableFeatures.DeletionVectors, True), "FEATURE"),
}


def taken_back(table):
    before = table.version()
    table.delete("id = 1")
    table.restore(before)


def checkpointed(table):
    table.create_checkpoint()
    table.cleanup_metadata()


# Commits that do not change the rows of the table.
HARMLESS = {
    "a checkpoint": checkpointed,
    "a deletion that is taken back": taken_back,
    "a property": lambda table: table.alter.set_table_properties({"delta.logRetentionDuration": "interval 9 days"}),
    "a description": lambda table: table.alter.set_table_description("kept rows"),
}


def without_newest_manifest(lake):
    (lake.folder / "lake/_lake/manifest/00000000000000000002.json").unlink()


def restored_from_older(lake):
    shutil.rmtree(lake.folder / "lake/_lake")
    shutil.copytree(lake.folder / "older", lake.folder / "lake/_lake")


# Manifests that are older than the logs.
HISTORIES = {"the newest manifest is gone": without_newest_manifest, "_lake is from an older copy": restored_from_older}


def committed_twice(coordinator, folder):
    lake = Lake(coordinator, folder)
    for number in (4, 5):
        done = lake.do("run")
        require(done.returncode == 0, f"run ended with {done.returncode}: {done.stderr}")
        lake.add(number, "new")
        if number == 4:
            shutil.copytree(folder / "lake/_lake", folder / "older")
    return lake


def refuses(lake, operation):
    ours = in_order(json.loads(lake.do("--quiet", "query", "SELECT id, p FROM kept", "--json").stdout))
    for command in ("run", "check", "publish"):
        done = lake.do(command)
        require(done.returncode == 2, f"{command} ended with {done.returncode}: {done.stderr}")
        for part in ("table `kept`", "another program", operation, "delta-rs"):
            require(part in done.stderr, f"{command} does not say `{part}`: {done.stderr}")
    for command in (["query", "SELECT 1"], ["tables"]):
        done = lake.do(*command)
        require(done.returncode == 0 and "another program" in done.stderr, f"{command[0]} does not warn: {done.stderr}")
    require(len(ours) == 4, f"query reads {ours}")


def goes_on(lake):
    done = lake.do("run")
    require(done.returncode == 0, f"run ended with {done.returncode}: {done.stderr}")
    rows = lake.rows()
    require([row[0] for row in rows] == [1, 2, 3, 4, 5], f"after the run the rows are {rows}")
    # Another run with a new record, to show that later runs extend the log.
    lake.add(6, "a")
    done = lake.do("run")
    require(done.returncode == 0 and len(lake.rows()) == 6, f"the second run ended with {done.returncode}: {done.stderr}")


def harmful(lake, change, operation):
    change(lake.delta())
    refuses(lake, operation)
    done = lake.do("publish", "--table", "kept", "--overwrite")
    require(done.returncode == 0, f"publish --overwrite ended with {done.returncode}: {done.stderr}")
    rows = lake.rows()
    require(len(rows) == 4, f"after publish --overwrite the rows are {rows}")
    goes_on(lake)


def history(lake, change):
    change(lake)
    for command in ("run", "check", "publish"):
        done = lake.do(command)
        require(done.returncode == 2, f"{command} ended with {done.returncode}: {done.stderr}")
        for part in ("table `kept`", "at version 2 of the lake", "newest manifest is version 1", "publish --overwrite"):
            require(part in done.stderr, f"{command} does not say `{part}`: {done.stderr}")
    done = lake.do("publish", "--overwrite")
    require(done.returncode == 0, f"publish --overwrite ended with {done.returncode}: {done.stderr}")
    require(len(lake.rows()) == 3, f"after publish --overwrite the rows are {lake.rows()}")
    goes_on(lake)


def feature(lake, change, operation):
    change(lake.delta())
    refuses(lake, operation)
    done = lake.do("publish", "--overwrite")
    require(done.returncode == 2 and "move `" in done.stderr, f"publish --overwrite ended with {done.returncode}: {done.stderr}")
    shutil.move(lake.table / "_delta_log", lake.folder / "moved")
    done = lake.do("publish")
    require(done.returncode == 0, f"publish ended with {done.returncode}: {done.stderr}")
    goes_on(lake)


def harmless(lake, change):
    change(lake.delta())
    done = lake.do("check")
    require(done.returncode == 0 and not done.stderr, f"check ended with {done.returncode}: {done.stderr}")
    goes_on(lake)


def main():
    coordinator = os.path.abspath(sys.argv[1])
    cases = {name: (lambda lake, case=case: harmful(lake, *case)) for name, case in HARMFUL.items()}
    cases |= {name: (lambda lake, case=case: feature(lake, *case)) for name, case in FEATURES.items()}
    cases |= {name: (lambda lake, change=change: history(lake, change)) for name, change in HISTORIES.items()}
    cases |= {name: (lambda lake, change=change: harmless(lake, change)) for name, change in HARMLESS.items()}
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, case in cases.items():
            try:
                case(committed_twice(coordinator, Path(scratch) / name.replace(" ", "-")))
                print(f"{name}: as expected")
            except Exception as error:  # Any exception of deltalake is a failure of the case.
                failures += 1
                print(f"error: {name}: {type(error).__name__}: {error}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    code = main()
    # Threads of deltalake may keep the interpreter from exiting.
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)
