#!/usr/bin/env python3
"""glue_catalog.py COORDINATOR: checks that `catalog --apply` fills an independent Glue Data Catalog
(moto; see s3_servers.py).

Runs COORDINATOR from data/ to S3, applies the catalog, and compares it with the Delta logs of the
tables.
"""
import io
import json
import os
import subprocess
import sys

import boto3
import deltalake
import polars

TABLES = ("artists", "songplays", "songs", "time", "users")
HIVE = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}


def main():
    coordinator, = sys.argv[1:]
    endpoint, root = os.environ["AWS_ENDPOINT_URL_S3"], os.environ["LAKEWRIGHT_TEST_S3"].rstrip("/") + "/catalog"
    glue = boto3.client("glue", endpoint_url=endpoint, region_name=os.environ["AWS_REGION"])

    def run(*arguments, lake=f"{root}/lake", **settings):
        environment = os.environ | {"AWS_ENDPOINT_URL_GLUE": endpoint, "LAKEWRIGHT__LAKE__URL": lake} | settings
        done = subprocess.run([coordinator, "--config", "lake.toml", *arguments], env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def must(what, holds):
        if not holds:
            sys.exit(f"error: {what}")
        print(what)

    apply = ("catalog", "--database", "music", "--apply")
    code, _, text = run(*apply)
    must(f"a lake without a commit has no tables to define: {text.strip()}", code == 2 and "nothing in the lake" in text)
    run("run")
    code, text, errors = run(*apply)
    must("all tables are created", code == 0 and text.count("created") == len(TABLES) or print(errors))
    options = {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": os.environ["AWS_REGION"]}
    for name in TABLES:
        table = glue.get_table(DatabaseName="music", Name=name)["Table"]
        log = deltalake.DeltaTable(table["StorageDescriptor"]["Location"], storage_options=options)
        columns = [(column["Name"], column["Type"]) for column in table["StorageDescriptor"]["Columns"]]
        of_log = [(field.name, HIVE.get(field.type.type, field.type.type)) for field in log.schema().fields]
        must(f"{name}: {len(columns)} columns, as in the Delta log", columns == of_log)
        must(f"{name}: is a Delta table", table["Parameters"]["spark.sql.sources.provider"] == "delta" and table["TableType"] == "EXTERNAL_TABLE")
    _, text, _ = run(*apply)
    must("a second time nothing changes", text.count("unchanged") == len(TABLES))
    definition = glue.get_table(DatabaseName="music", Name="songs")["Table"]
    definition = {key: definition[key] for key in ("Name", "TableType", "Parameters", "StorageDescriptor")}
    definition["StorageDescriptor"]["Columns"] = definition["StorageDescriptor"]["Columns"][:2]
    glue.update_table(DatabaseName="music", TableInput=definition)
    _, text, _ = run(*apply)
    must("a definition that was changed is restored", "music.songs  updated" in text and text.count("unchanged") == len(TABLES) - 1)
    symlinks(must, run, glue, root, options)
    run("run", lake=f"{root}/other")
    code, _, text = run(*apply, lake=f"{root}/other")
    must("a table of another lake is not changed", code == 2 and "is another one" in text)
    run("run", lake=f"{root}/my lake")
    run("catalog", "--database", "spaced", "--apply", lake=f"{root}/my lake")
    location = glue.get_table(DatabaseName="spaced", Name="users")["Table"]["StorageDescriptor"]["Location"]
    must("a location is written like keys, without percent-encoding", location == f"{root}/my lake/users/")
    _, text, _ = run("catalog", "--database", "printed", "--json")
    printed = [json.loads(line) for line in text.splitlines()]
    glue.create_database(DatabaseInput={"Name": "printed"})
    for definition in printed:
        glue.create_table(**definition)
    applied, made = (glue.get_tables(DatabaseName=name)["TableList"] for name in ("music", "printed"))
    same = [[{key: table.get(key) for key in ("Name", "Parameters", "StorageDescriptor")} for table in tables] for tables in (applied, made)]
    must("the printed definitions create the same tables", same[0] == same[1])


def symlinks(must, run, glue, root, options):
    """Checks tables that are read through lists of their files, as Redshift Spectrum does: they
    have the rows of the Delta table.
    """
    s3 = boto3.client("s3", endpoint_url=options["AWS_ENDPOINT_URL"], region_name=options["AWS_REGION"])
    apply = ("catalog", "--database", "music_symlinks", "--symlinks", "--apply")
    code, text, errors = run(*apply)
    must("tables that are read through lists are created", code == 0 and text.count("  created  ") == len(TABLES) or print(errors))

    def content(url):
        bucket, key = url.removeprefix("s3://").split("/", 1)
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def rows_of(url):
        return polars.read_parquet(io.BytesIO(content(url))).height

    def read_by_lists(name):
        """Returns the number of rows by partition values, found through the catalog alone."""
        table = glue.get_table(DatabaseName="music_symlinks", Name=name)["Table"]
        keys = [key["Name"] for key in table["PartitionKeys"]]
        pages = glue.get_paginator("get_partitions").paginate(DatabaseName="music_symlinks", TableName=name)
        places = [(tuple(found["Values"]), found["StorageDescriptor"]) for page in pages for found in page["Partitions"]]
        rows = {}
        for values, storage in places if keys else [((), table["StorageDescriptor"])]:
            must_be = "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat"
            if storage["InputFormat"] != must_be:
                sys.exit(f"error: {name} is not read by {must_be}")
            files = content(storage["Location"] + "manifest").decode().splitlines()
            rows[values] = sum(map(rows_of, files))
        return keys, rows

    def as_delta(name, keys):
        """Returns the same for the Delta table."""
        table = polars.read_delta(f"{root}/lake/{name}", storage_options=options)
        if not keys:
            return {(): table.height}
        return {tuple(map(str, values)): rows for *values, rows in table.group_by(keys).len().iter_rows()}

    def all_are_the_same(when):
        for name in TABLES:
            keys, rows = read_by_lists(name)
            must(f"{when}, {name}: {sum(rows.values())} rows in {len(rows)} lists, as in the Delta table", rows == as_delta(name, keys))

    all_are_the_same("by lists")
    _, text, _ = run(*apply)
    must("a second time no table and no partition changes",
         text.count("unchanged") == len(TABLES) and text.count("0 created, 0 updated, 0 deleted") == text.count("partitions"))
    # A partition that does not belong to the table, a missing one, and a changed one.
    stray = glue.get_partitions(DatabaseName="music_symlinks", TableName="songs")["Partitions"][0]
    storage = stray["StorageDescriptor"] | {"Location": stray["StorageDescriptor"]["Location"] + "elsewhere/"}
    glue.create_partition(DatabaseName="music_symlinks", TableName="songs", PartitionInput={"Values": ["1066"], "StorageDescriptor": storage})
    glue.delete_partition(DatabaseName="music_symlinks", TableName="songs", PartitionValues=stray["Values"])
    another = glue.get_partitions(DatabaseName="music_symlinks", TableName="time")["Partitions"][0]
    glue.update_partition(DatabaseName="music_symlinks", TableName="time", PartitionValueList=another["Values"],
                          PartitionInput={"Values": another["Values"], "StorageDescriptor": another["StorageDescriptor"] | {"Columns": []}})
    _, text, _ = run(*apply)
    must("the partitions are restored to those of the table", "1 created, 0 updated, 1 deleted" in text and "0 created, 1 updated, 0 deleted" in text or print(text))
    all_are_the_same("restored")
    # Other partition columns, then none: no list names a file of the earlier layout any more.
    for partition_by in ('["artist_id"]', "[]"):
        settings = {"LAKEWRIGHT__TABLES__SONGS__PARTITION_BY": partition_by}
        run("run", **settings)
        code, _, errors = run(*apply, **settings)
        must(f"songs are partitioned by {partition_by}", code == 0 or print(errors))
        all_are_the_same(f"by {partition_by}")
        table = glue.get_table(DatabaseName="music_symlinks", Name="songs")["Table"]
        bucket, prefix = table["StorageDescriptor"]["Location"].removeprefix("s3://").split("/", 1)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        lists = [f"s3://{bucket}/{found['Key']}" for page in pages for found in page["Contents"]]
        named = [line for file in lists for line in content(file).decode().splitlines()]
        must("no old list remains", len(named) == len(set(named)) and sum(map(rows_of, named)) == as_delta("songs", [])[()])
        partitions = glue.get_partitions(DatabaseName="music_symlinks", TableName="songs")["Partitions"]
        keys = len(table["PartitionKeys"])
        must("no old partition remains", all(len(found["Values"]) == keys for found in partitions) and bool(partitions) == bool(keys))


if __name__ == "__main__":
    main()
