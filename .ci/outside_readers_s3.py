#!/usr/bin/env python3
"""outside_readers_s3.py COORDINATOR: checks that independent readers see the same rows on S3.

Copies data/ into the prefix that LAKEWRIGHT_TEST_S3 names, runs COORDINATOR with its sources and
its lake there, and compares the rows that COORDINATOR, deltalake, DuckDB and Polars read. The
variables of AWS name the endpoint.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import deltalake
import duckdb
import duckdb_extension_delta
import duckdb_extension_httpfs
import polars

from outside_readers import compare

TABLES = ("artists", "songplays", "songs", "time", "users")


class Table(str):
    """URL of a table that has a `name`, like a path."""

    @property
    def name(self):
        return self.rsplit("/", 1)[1]


def main():
    coordinator, = sys.argv[1:]
    root = os.environ["LAKEWRIGHT_TEST_S3"].rstrip("/") + "/readers"
    bucket, prefix = root.removeprefix("s3://").split("/", 1)
    endpoint = os.environ["AWS_ENDPOINT_URL_S3"]
    client = boto3.client("s3", endpoint_url=endpoint)
    for file in Path("data").glob("*_data/**/*"):
        if file.is_file():
            client.upload_file(str(file), bucket, f"{prefix}/{file}")
    sources = {f"LAKEWRIGHT__SOURCES__{name}__URL": f"{root}/data/{folder}" for name, folder in (("SONGS", "song_data"), ("EVENTS", "log_data"))}
    environment = os.environ | sources | {"LAKEWRIGHT__LAKE__URL": f"{root}/lake"}
    subprocess.run([coordinator, "--config", "lake.toml", "run"], env=environment, check=True)

    options = {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": os.environ["AWS_REGION"]}
    options |= {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}

    def with_coordinator(table):
        command = [coordinator, "--config", "lake.toml", "--quiet", "query", f'SELECT * FROM "{table.name}"', "--json"]
        return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    def with_duckdb(table):
        with duckdb.connect() as database:
            for extension in (duckdb_extension_httpfs, duckdb_extension_delta):
                name = extension.__name__.removeprefix("duckdb_extension_")
                file, = Path(extension.__file__).parent.glob(f"extensions/v{duckdb.__version__}/{name}.duckdb_extension")
                database.execute(f"LOAD '{file}'")
            database.execute("SET TimeZone = 'UTC'")
            database.execute(
                "CREATE SECRET (TYPE s3, KEY_ID '%s', SECRET '%s', REGION '%s', ENDPOINT '%s', URL_STYLE 'path', USE_SSL false)"
                % (options["AWS_ACCESS_KEY_ID"], options["AWS_SECRET_ACCESS_KEY"], options["AWS_REGION"], endpoint.removeprefix("http://"))
            )
            return database.execute("SELECT * FROM delta_scan(?)", [str(table)]).to_arrow_table().to_pylist()

    readers = {
        "duckdb": with_duckdb,
        "deltalake": lambda table: deltalake.DeltaTable(table, storage_options=options).to_pyarrow_table().to_pylist(),
        "polars": lambda table: polars.read_delta(table, storage_options=options).to_arrow().to_pylist(),
        "coordinator": with_coordinator,
    }
    failures = []
    for name in TABLES:
        table = Table(f"{root}/lake/{name}")
        schema = deltalake.DeltaTable(table, storage_options=options).to_pyarrow_dataset().schema
        differences, rows = compare(table, readers, {field.name: field.type for field in schema})
        failures += differences
        print(f"{name}: {rows} rows, {'DIFFERENT' if differences else 'equal'} in {', '.join(readers)}")
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
