#!/usr/bin/env python3
"""outside_readers.py LAKE [--config FILE --coordinator PROGRAM]: checks that independent readers
see the same rows.

Reads every table of a lake (a local folder) with deltalake, DuckDB and Polars and, with a
configuration, with `coordinator query --json`. Compares the number of rows, the names of the
columns and, for each column and for whole rows, checksums that do not depend on the order of rows.
Exits with 1 and names the reader, the table and the column that differ.
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
    """Returns a value in one form for all readers; `kind` is the Arrow type of its column."""
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
    """Returns the sum of the values' hashes, which depends on how often each occurs but not on
    their order.
    """
    total = 0
    for value in values:
        digest = hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=8).digest()
        total += int.from_bytes(digest, "big")
    return total % 2**64


def summary(rows, schema):
    """Returns the number of rows, the names of columns, sums of numbers, and checksums of columns
    and of whole rows.
    """
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
    """Returns the Arrow types of a table in a local folder, by column."""
    return {field.name: field.type for field in deltalake.DeltaTable(str(table)).to_pyarrow_dataset().schema}


def compare(table, readers, schema):
    """Returns the differences between the readers of one table, one sentence each, and the first
    reader's number of rows.
    """
    differences, first, expected = [], None, None
    for reader, read in readers.items():
        try:
            found = summary(read(table), schema)
        except Exception as error:  # Any exception means that the reader cannot read the table.
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
    arguments.add_argument("--config", help="the lake.toml of the lake; also compare with `coordinator query`")
    arguments.add_argument("--coordinator", default="target/quick/coordinator", help="the program (%(default)s)")
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
