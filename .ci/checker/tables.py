"""Checks the tables of the newest version against the models, run by DuckDB over the ground truth
(I3).

The five tables of the default model have separate queries in `star/`, written from the README's
rules. The models of other lakes are run unchanged, so their SQL must mean the same to DuckDB and
DataFusion.
"""
from collections import Counter
from pathlib import Path

import duckdb

from lake import difference, tuples
from truth import as_table

STAR = Path(__file__).parent / "star"
REPOSITORY = Path(__file__).parents[2]


def check(lake):
    if lake.newest is None:
        return
    tables = {table["name"]: table for table in lake.newest["tables"]}
    declared = lake.settings.get("tables", {})
    lake.expect(tables.keys() == declared.keys(), "table.names", f"tables {sorted(tables)}, configured are {sorted(declared)}")
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute("CREATE SCHEMA staging")
        for name, source in lake.sources.items():
            rows = [row for found in lake.objects[name].values() for row in found.rows]
            truth = as_table(source, rows)  # DuckDB finds it by this name.
            database.execute(f'CREATE TABLE staging."{name}" AS SELECT * FROM truth')
        expected = build(lake, database, declared)
        for name, table in tables.items():
            if name in expected:
                compare(lake, table, expected[name])


def build(lake, database, declared):
    """Runs the models until all have run or none of the rest can. Returns the results by table."""
    waiting, results, failures = dict(declared), {}, {}
    while waiting:
        built = []
        for name, settings in waiting.items():
            try:
                database.execute(f'CREATE TABLE main."{name}" AS {query(lake, name, settings)}')
            except duckdb.Error as error:
                failures[name] = error
                continue
            results[name] = database.execute(f'SELECT * FROM main."{name}"').to_arrow_table()
            built.append(name)
        if not built:
            break
        for name in built:
            del waiting[name]
    for name in waiting:
        lake.violated("table.unchecked", f"DuckDB cannot run the model of `{name}`: {failures[name]}")
    return results


def query(lake, name, settings):
    model = (lake.base / settings.get("sql", f"models/{name}.sql")).read_text()
    original, own = REPOSITORY / f"models/{name}.sql", STAR / f"{name}.sql"
    is_default = original.is_file() and own.is_file() and original.read_text() == model
    return own.read_text() if is_default else model


def compare(lake, table, expected):
    name, columns = table["name"], [column["name"] for column in table["columns"]["list"]]
    if not lake.expect(sorted(columns) == sorted(expected.column_names), "table.columns",
                       f"`{name}` has {columns}, its model {expected.column_names}"):
        return
    types = {column["name"]: column["type"] for column in table["columns"]["list"]}
    found = lake.rows_of(table["files"], columns, types)
    differs = difference(Counter(tuples(expected.select(columns))), found)
    lake.expect(not differs, "table.rows", f"`{name}`: {differs}")
