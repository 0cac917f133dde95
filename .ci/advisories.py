#!/usr/bin/env python3
"""advisories.py CARGO_AUDIT: checks Cargo.lock for crates that are vulnerable, unsound,
unmaintained or yanked.

CARGO_AUDIT is the path of the program. It uses RustSec's database, from the first of these places
that has one:

  1. LAKEWRIGHT_ADVISORY_DB, or ../shared/data/advisory-db beside the clone: a checkout, which is not updated,
  2. the newest version, fetched by cargo-audit,
  3. the result of an earlier fetch in ~/.cargo/advisory-db.

No package registry has the database, so a machine that reaches only registries needs a checkout.
The check prints the date of the database, because it cannot find advisories that were published
later. Exits with 1 for an advisory without an exception below, and for an exception that has
expired or is no longer needed; with 77 if no database was found.
"""
import datetime
import json
import os
import pathlib
import subprocess
import sys

# An advisory, the day on which it must be reviewed again, and the reason for accepting it until
# then.
EXCEPTIONS = {
    "RUSTSEC-2026-0194": (
        "2027-03-01",
        "quick-xml 0.39 is required by object_store 0.13, and that by DataFusion 55 and deltalake 1.1; it parses what the S3 "
        "endpoint that the user configured answers, so only that endpoint could cost CPU, within the time limit of a request",
    ),
    "RUSTSEC-2026-0195": (
        "2027-03-01",
        "as RUSTSEC-2026-0194; object_store uses the serde reader, which resolves no namespaces",
    ),
    "RUSTSEC-2026-0173": (
        "2027-03-01",
        "proc-macro-error2 is unmaintained; it runs at build time only, for a derive that deltalake-core uses",
    ),
}
FETCH_SECONDS = 60


def audit(program, arguments, seconds=None):
    """Returns the report of cargo-audit, or None if it has no database."""
    try:
        done = subprocess.run(
            [program, "audit", "--json", *arguments], capture_output=True, text=True, timeout=seconds, check=False
        )
        return json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return None


def audit_with_some_database(program):
    """Returns the report of cargo-audit and the folder of its database."""
    checkout = pathlib.Path(os.environ.get("LAKEWRIGHT_ADVISORY_DB", "../shared/data/advisory-db"))
    if checkout.is_dir():
        return audit(program, ["--db", str(checkout), "--no-fetch", "--stale"]), checkout
    fetched = audit(program, [], FETCH_SECONDS)
    home = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
    return fetched or audit(program, ["--no-fetch", "--stale"]), home / "advisory-db"


def date_of(database):
    """Returns the day of the last change to the database."""
    log = ["git", "-C", str(database), "log", "-1", "--format=%cs"]
    done = subprocess.run(log, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "an unknown day"


def findings(report):
    """Returns each advisory or kind of warning with the crate that it is about."""
    found = [(entry["advisory"]["id"], entry["package"]) for entry in report["vulnerabilities"]["list"]]
    for kind, entries in report["warnings"].items():
        found += [((entry["advisory"] or {"id": kind})["id"], entry["package"]) for entry in entries]
    return [(name, f"`{package['name']}` {package['version']}") for name, package in found]


def main():
    report, folder = audit_with_some_database(sys.argv[1])
    if report is None:
        print("no database of advisories was found; the crates of Cargo.lock were not checked", file=sys.stderr)
        return 77
    today = datetime.date.today().isoformat()
    found = findings(report)
    faults = [f"{crate}: {name}" for name, crate in found if name not in EXCEPTIONS]
    for name, (until, reason) in EXCEPTIONS.items():
        if all(name != other for other, _ in found):
            faults.append(f"the exception for {name} is no longer needed")
        elif today > until:
            faults.append(f"the exception for {name} expired on {until}: {reason}")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    print(
        f"{report['lockfile']['dependency-count']} crates against {report['database']['advisory-count']} advisories, the newest of "
        f"{date_of(folder)}: "
        f"{len(found)} found, {len(EXCEPTIONS)} exceptions, {len(faults)} faults"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
