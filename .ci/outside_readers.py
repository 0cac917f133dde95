#!/usr/bin/env python3
"""outside_readers.py LAKE [--config FILE --coordinator PROGRAM]: do readers that nobody here wrote see what we see?

Reads every table of a lake (a local folder) with deltalake, DuckDB and Polars and, where a configuration is given, with
`coordinator query --json`. Compares row counts, the names of the columns and, per column and for whole rows, checksums
that do not depend on the order of rows. Exits with 1 and names the reader, the table and the column where they differ.
"""
import argparse
import datetime as dt
import decimal
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import deltalake
import duckdb
import duckdb_extension_delta
import polars
import pyarrow as pa

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
MICROSECOND = dt.timedelta(microseconds=1)


def with_deltalake(table):
    return deltalake.DeltaTable(str(table)).to_pyarrow_table().to_pylist()


def with_duckdb(table):
    extension, = Path(duckdb_extension_delta.__file__).parent.glob(f"extensions/v{duckdb.__version__}/delta.duckdb_extension")
    with duckdb.connect() as database:
        database.execute(f"LOAD '{extension}'")
        database.execute("SET TimeZone = 'UTC'")
        rows = database.execute("SELECT * FROM delta_scan(?)", [str(table)]).to_arrow_table()
    return rows.to_pylist()


def with_polars(table):
    return polars.read_delta(str(table)).to_arrow().to_pylist()


def with_coordinator(program, config):
    def read(table):
        command = [program, "--config", config, "--quiet", "query", f'SELECT * FROM "{table.name}"', "--json"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            sys.exit(f"error: `{' '.join(command)}` failed with {answer.returncode}: {answer.stderr.strip()}")
        return json.loads(answer.stdout or "[]")
    return read


def plain(value, kind):
    """One spelling for a value, whatever the reader gave; `kind` is the column's Arrow type."""
    if value is None:
        return None
    if pa.types.is_timestamp(kind):
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
        moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)
        return (moment - EPOCH) // MICROSECOND
    if pa.types.is_date(kind):
        return value if isinstance(value, str) else value.isoformat()
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_integer(kind):
        return int(value)
    if pa.types.is_decimal(kind):
        return f"{decimal.Decimal(str(value)):.{kind.scale}f}"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [plain(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return {member.name: plain(value.get(member.name), member.type) for member in kind}
    return value


def checksum(values):
    """The sum of the values' hashes: the order of rows does not matter, how often each occurs does."""
    total = 0
    for value in values:
        digest = hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=8).digest()
        total += int.from_bytes(digest, "big")
    return total % 2**64


def summary(rows, schema):
    """Row count, column names, sums of numbers, and a checksum per column and one of whole rows."""
    columns = sorted({name for row in rows for name in row}) if rows else sorted(schema)
    unknown = [name for name in columns if name not in schema]
    facts = {"rows": len(rows), "columns": columns}
    if unknown:
        return facts
    plains = {name: [plain(row.get(name), schema[name]) for row in rows] for name in columns}
    for name, values in plains.items():
        if pa.types.is_integer(schema[name]):
            facts[f"sum of `{name}`"] = sum(value for value in values if value is not None)
        facts[f"nulls of `{name}`"] = sum(value is None for value in values)
        facts[f"checksum of `{name}`"] = checksum(values)
    facts["checksum of whole rows"] = checksum(zip(*plains.values()))
    return facts


def schema_of(table):
    """The Arrow types of a table in a local folder, by column."""
    return {field.name: field.type for field in deltalake.DeltaTable(str(table)).to_pyarrow_dataset().schema}


def compare(table, readers, schema):
    """The differences between the readers of one table, as sentences, and the first reader's row count."""
    differences, first, expected = [], None, None
    for reader, read in readers.items():
        try:
            found = summary(read(table), schema)
        except Exception as error:  # Whatever a reader raises is an answer: it cannot read the table.
            differences.append(f"table `{table.name}`: {reader} fails: {error}")
            continue
        if expected is None:
            first, expected = reader, found
            continue
        for fact in sorted(expected.keys() | found.keys()):
            if expected.get(fact) != found.get(fact):
                differences.append(f"table `{table.name}`: {fact}: {first} says {expected.get(fact)}, {reader} says {found.get(fact)}")
    return differences, (expected or {}).get("rows")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("lake", type=Path)
    arguments.add_argument("--config", help="the lake.toml of that lake: compare with `coordinator query` too")
    arguments.add_argument("--coordinator", default="target/release/coordinator", help="the program (%(default)s)")
    given = arguments.parse_args()

    readers = {"deltalake": with_deltalake, "duckdb": with_duckdb, "polars": with_polars}
    if given.config:
        readers["coordinator"] = with_coordinator(given.coordinator, given.config)
    tables = sorted(log.parent for log in given.lake.glob("**/_delta_log"))
    if not tables:
        sys.exit(f"error: no Delta table in `{given.lake}`")
    failures = []
    for table in tables:
        differences, rows = compare(table, readers, schema_of(table))
        failures += differences
        print(f"{table.name}: {rows} rows, {'DIFFERENT' if differences else 'equal'} in {', '.join(readers)}")
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
