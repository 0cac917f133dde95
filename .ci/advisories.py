#!/usr/bin/env python3
"""advisories.py CARGO_AUDIT: is a crate of Cargo.lock known to be vulnerable, unsound, unmaintained or yanked?

CARGO_AUDIT is the program of that name. Its database is RustSec's; the first of these that there is:

  1. LAKEWRIGHT_ADVISORY_DB, or ../shared/data/advisory-db beside the clone: a checkout, taken as it is,
  2. the newest, fetched as cargo-audit does it,
  3. what an earlier fetch left in ~/.cargo/advisory-db.

No package registry has the database, so a machine that reaches nothing else needs a checkout. The date of the database is
printed: an advisory that came later is not in it, and passing says nothing about it. Exits with 1 for an advisory that is not
an exception below, an exception that has run out, or one that is not needed any more; with 77 if there is no database.
"""
import datetime
import json
import os
import pathlib
import subprocess
import sys

# An advisory, the day on which somebody has to look again, and why it is accepted until then.
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
    """What cargo-audit found, or None where it has no database."""
    try:
        done = subprocess.run(
            [program, "audit", "--json", *arguments], capture_output=True, text=True, timeout=seconds, check=False
        )
        return json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return None


def audit_with_some_database(program):
    """What cargo-audit found, and the folder of the database."""
    checkout = pathlib.Path(os.environ.get("LAKEWRIGHT_ADVISORY_DB", "../shared/data/advisory-db"))
    if checkout.is_dir():
        return audit(program, ["--db", str(checkout), "--no-fetch", "--stale"]), checkout
    fetched = audit(program, [], FETCH_SECONDS)
    home = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
    return fetched or audit(program, ["--no-fetch", "--stale"]), home / "advisory-db"


def date_of(database):
    """The day of the last change to the database."""
    log = ["git", "-C", str(database), "log", "-1", "--format=%cs"]
    done = subprocess.run(log, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "an unknown day"


def findings(report):
    """Advisory or kind of warning, and the crate that it is about."""
    found = [(entry["advisory"]["id"], entry["package"]) for entry in report["vulnerabilities"]["list"]]
    for kind, entries in report["warnings"].items():
        found += [((entry["advisory"] or {"id": kind})["id"], entry["package"]) for entry in entries]
    return [(name, f"`{package['name']}` {package['version']}") for name, package in found]


def main():
    report, folder = audit_with_some_database(sys.argv[1])
    if report is None:
        print("no database of advisories can be had here: nothing is known about the crates of Cargo.lock", file=sys.stderr)
        return 77
    today = datetime.date.today().isoformat()
    found = findings(report)
    faults = [f"{crate}: {name}" for name, crate in found if name not in EXCEPTIONS]
    for name, (until, reason) in EXCEPTIONS.items():
        if all(name != other for other, _ in found):
            faults.append(f"the exception for {name} is not needed any more")
        elif today > until:
            faults.append(f"the exception for {name} has run out on {until}: {reason}")
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
