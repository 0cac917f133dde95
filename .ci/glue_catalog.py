#!/usr/bin/env python3
"""glue_catalog.py COORDINATOR: does `catalog --apply` fill a Glue Data Catalog that nobody here wrote (moto's; see s3_servers.py)?

Runs COORDINATOR from data/ to S3, applies, and compares the catalog with the tables' own Delta logs.
"""
import json
import os
import subprocess
import sys

import boto3
import deltalake

TABLES = ("artists", "songplays", "songs", "time", "users")
HIVE = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}


def main():
    coordinator, = sys.argv[1:]
    endpoint, root = os.environ["AWS_ENDPOINT_URL_S3"], os.environ["LAKEWRIGHT_TEST_S3"].rstrip("/") + "/catalog"
    glue = boto3.client("glue", endpoint_url=endpoint, region_name=os.environ["AWS_REGION"])

    def run(*arguments, lake=f"{root}/lake"):
        environment = os.environ | {"AWS_ENDPOINT_URL_GLUE": endpoint, "LAKEWRIGHT__LAKE__URL": lake}
        done = subprocess.run([coordinator, "--config", "lake.toml", *arguments], env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def must(what, holds):
        if not holds:
            sys.exit(f"error: {what}")
        print(what)

    apply = ("catalog", "--database", "music", "--apply")
    code, _, text = run(*apply)
    must(f"a lake without a commit has nothing to define: {text.strip()}", code == 2 and "nothing in the lake" in text)
    run("run")
    code, text, errors = run(*apply)
    must("all tables are made", code == 0 and text.count("created") == len(TABLES) or print(errors))
    options = {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": os.environ["AWS_REGION"]}
    for name in TABLES:
        table = glue.get_table(DatabaseName="music", Name=name)["Table"]
        log = deltalake.DeltaTable(table["StorageDescriptor"]["Location"], storage_options=options)
        columns = [(column["Name"], column["Type"]) for column in table["StorageDescriptor"]["Columns"]]
        of_log = [(field.name, HIVE.get(field.type.type, field.type.type)) for field in log.schema().fields]
        must(f"{name}: {len(columns)} columns, those of the Delta log", columns == of_log)
        must(f"{name}: is of Delta", table["Parameters"]["spark.sql.sources.provider"] == "delta" and table["TableType"] == "EXTERNAL_TABLE")
    _, text, _ = run(*apply)
    must("a second time nothing changes", text.count("unchanged") == len(TABLES))
    definition = glue.get_table(DatabaseName="music", Name="songs")["Table"]
    definition = {key: definition[key] for key in ("Name", "TableType", "Parameters", "StorageDescriptor")}
    definition["StorageDescriptor"]["Columns"] = definition["StorageDescriptor"]["Columns"][:2]
    glue.update_table(DatabaseName="music", TableInput=definition)
    _, text, _ = run(*apply)
    must("what somebody changed is put right", "music.songs  updated" in text and text.count("unchanged") == len(TABLES) - 1)
    run("run", lake=f"{root}/other")
    code, _, text = run(*apply, lake=f"{root}/other")
    must("another lake's table is left alone", code == 2 and "not this lake's" in text)
    _, text, _ = run("catalog", "--database", "printed", "--json")
    printed = [json.loads(line) for line in text.splitlines()]
    glue.create_database(DatabaseInput={"Name": "printed"})
    for definition in printed:
        glue.create_table(**definition)
    applied, made = (glue.get_tables(DatabaseName=name)["TableList"] for name in ("music", "printed"))
    same = [[{key: table.get(key) for key in ("Name", "Parameters", "StorageDescriptor")} for table in tables] for tables in (applied, made)]
    must("what is printed makes the same tables", same[0] == same[1])


if __name__ == "__main__":
    main()
