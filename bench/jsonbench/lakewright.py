#!/usr/bin/env python3
"""lakewright.py load|query COORDINATOR CONFIG: does for Lakewright what peer.py does for an engine.

`load` prints the number of rows and the place of each rejected line. The queries are processes of their own, as a user starts them.
"""
import json
import subprocess
import sys

from queries import queries

action, coordinator, config = sys.argv[1:]


def rows(*arguments):
    done = subprocess.run([coordinator, "--config", config, "--quiet", *arguments, "--jsonlines"], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


if action == "load":
    subprocess.run([coordinator, "--config", config], check=True)
    loaded = rows("query", "SELECT count(*) AS n FROM events")[0]["n"]
    rejected = [[row["object"].rsplit("/", 1)[-1], row["line"], row["reason"]] for row in rows("quarantine", "--records", "1000000")]
    print(json.dumps({"loaded": loaded, "rejected": rejected}))
else:
    print(json.dumps({name: [list(row.values()) for row in rows("query", text)] for name, text in queries("lakewright", "events").items()}))
