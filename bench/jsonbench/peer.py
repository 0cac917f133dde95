#!/usr/bin/env python3
"""peer.py load|query ENGINE DATA OUT: loads the documents into OUT/events.parquet, or queries that file.

ENGINE is duckdb, chdb or polars. `load` prints the number of rows; `query` prints the answers. Each engine is told to skip
lines that it cannot read, as far as it has such a setting.
"""
import json
import os
import sys

from queries import queries

action, engine, data, out = sys.argv[1:]
files, parquet = f"{data}/bluesky/*.json.gz", f"{out}/events.parquet"
COLUMNS = "did, time_us, kind, commit.operation AS operation, commit.collection AS collection, commit.rev AS rev, commit.rkey AS rkey, commit.cid AS cid"
os.makedirs(out, exist_ok=True)


def duckdb_run():
    import duckdb
    db = duckdb.connect()
    db.execute("SET threads = 2; SET preserve_insertion_order = false")
    if action == "load":
        db.execute(f"""COPY (SELECT {COLUMNS}, commit.record AS record FROM read_json('{files}', format = 'newline_delimited', ignore_errors = true,
            columns = {{did: 'VARCHAR', time_us: 'BIGINT', kind: 'VARCHAR', commit: 'STRUCT(operation VARCHAR, collection VARCHAR, rev VARCHAR, rkey VARCHAR, cid VARCHAR, record JSON)'}}))
            TO '{parquet}' (FORMAT parquet, COMPRESSION zstd)""")
        return db.execute(f"SELECT count(*) FROM '{parquet}'").fetchone()[0]
    return {name: [list(row) for row in db.execute(text).fetchall()] for name, text in queries(engine, f"'{parquet}'").items()}


def chdb_run():
    from chdb import session
    q = session.Session().query
    q("SET max_threads = 2")
    if action == "load":
        q("SET input_format_allow_errors_num = 1000000, engine_file_truncate_on_insert = 1, output_format_parquet_compression_method = 'zstd'")
        q("SET input_format_json_read_objects_as_strings = 1, input_format_json_ignore_unnecessary_fields = 1")
        kinds = "did String, time_us Int64, kind String, commit Tuple(operation Nullable(String), collection Nullable(String), rev Nullable(String), rkey Nullable(String), cid Nullable(String), record Nullable(String))"
        q(f"INSERT INTO FUNCTION file('{parquet}', Parquet) SELECT {COLUMNS}, commit.record AS record FROM file('{files}', JSONEachRow, '{kinds}')")
        return int(str(q(f"SELECT count(*) FROM file('{parquet}', Parquet)", "CSV")))
    read = lambda text: json.loads(str(q(text, "JSONCompact")))["data"]
    plain = lambda value: int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value
    return {name: [[plain(value) for value in row] for row in read(text)] for name, text in queries(engine, f"file('{parquet}', Parquet)").items()}


def polars_run():
    os.environ.setdefault("POLARS_MAX_THREADS", "2")
    import polars as pl
    if action == "load":
        # A record has different fields in each collection, so it is not loaded.
        commit = pl.Struct({name: pl.String for name in ("operation", "collection", "rev", "rkey", "cid")})
        rows = pl.scan_ndjson(files, schema={"did": pl.String, "time_us": pl.Int64, "kind": pl.String, "commit": commit}, ignore_errors=True)
        rows.unnest("commit").sink_parquet(parquet, compression="zstd")
        return pl.scan_parquet(parquet).select(pl.len()).collect().item()
    context = pl.SQLContext(events=pl.scan_parquet(parquet))
    return {name: [list(row) for row in context.execute(text, eager=True).rows()] for name, text in queries(engine, "events").items()}


print(json.dumps({"duckdb": duckdb_run, "chdb": chdb_run, "polars": polars_run}[engine]()))
