#!/usr/bin/env python3
"""current_files.py LAKE OUT: links the current files of each table, by its Delta log, into
OUT/<table>/.

The check of the answers reads this layout. Only for a lake with few commits, whose logs have no
checkpoint yet.
"""
import json
import os
import sys
from pathlib import Path
from urllib.parse import unquote

lake, out = Path(sys.argv[1]), Path(sys.argv[2])
logs = sorted(lake.glob("**/_delta_log"))
if not logs:
    sys.exit(f"error: no Delta table in `{lake}`")
for log in logs:
    table = log.parent
    if (log / "_last_checkpoint").exists():
        sys.exit(f"error: the log of `{table}` has a checkpoint\nhint: start from a fresh lake")
    current = set()
    for commit in sorted(log.glob("*.json")):
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                current.add(action["add"]["path"])
            elif "remove" in action:
                current.discard(action["remove"]["path"])
    for path in current:
        # Paths in the log are percent-encoded, on top of the encoding in the file name.
        path = unquote(path)
        link = out / table.name / path
        link.parent.mkdir(parents=True, exist_ok=True)
        os.link(table / path, link)
