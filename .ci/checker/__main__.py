#!/usr/bin/env python3
"""checker CONFIG: checks that a lake keeps the promises of the README.

Verifies a lake in a folder, with code that shares nothing with the product:

  - the chain of manifests and every file that they name,
  - ledger, staging and quarantine against the JSON of the sources,
  - the tables against the models, run by DuckDB,
  - each Delta log and `consistent/latest` against the manifests.

Expects that the last run found nothing new. Prints each violation by name and exits with 1; with 2
if the lake cannot be checked. With --serve, reads requests as lines of JSON from standard input and
prints one line for each: {"violations": [...]}.
"""
import argparse
import json
import sys
import traceback
from pathlib import Path

from lake import Request
from promises import violations


def serve():
    for line in sys.stdin:
        try:
            given = json.loads(line)
            request = Request(
                config=Path(given["config"]),
                lake=Path(given["lake"]) if given.get("lake") else None,
                buckets=given.get("buckets", {}),
                all_versions=given.get("all_versions", True),
            )
            found = [str(violation) for violation in violations(request)]
        except Exception:  # A lake that breaks the checker is a violation too, and the next request must be served.
            found = [f"checker.failed: {traceback.format_exc()}"]
        print(json.dumps({"violations": found}), flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("config", type=Path, nargs="?", help="the lake.toml of the lake")
    arguments.add_argument("--lake", type=Path, help="the folder of the lake (default: as configured)")
    arguments.add_argument("--source", action="append", default=[], metavar="NAME=FOLDER", help="the folder of a source (default: as configured)")
    arguments.add_argument("--newest-only", action="store_true", help="do not check files of older versions")
    arguments.add_argument("--serve", action="store_true", help="serve requests from standard input")
    given = arguments.parse_args()
    if given.serve:
        return serve()
    if given.config is None:
        arguments.error("CONFIG is missing")
    sources = {name: Path(folder) for name, _, folder in (source.partition("=") for source in given.source)}
    try:
        found = violations(Request(given.config, given.lake, sources, all_versions=not given.newest_only))
    except Exception:  # Not a violation, so the exit code is another one.
        traceback.print_exc()
        return 2
    for violation in found:
        print(f"violation: {violation}")
    print(f"{given.lake or given.config}: {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
