#!/usr/bin/env python3
"""licences.py METADATA: checks that the licence of every crate permits shipping it with Apache-2.0
software.

METADATA is a file with the output of `cargo metadata --format-version 1`. One of several
alternatives (`OR`, or `/` in older crates) must be allowed; all parts of a conjunction (`AND`) must
be. Exits with 1 and names the crates that fail.
"""
import json
import re
import sys

# Permissive licences, which require attribution at most.
ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC",
    "MIT", "MIT-0", "Unicode-3.0", "Unlicense", "Zlib", "bzip2-1.0.6",
}

# A crate and its licence, each with a reason.
EXCEPTIONS = {
    # Mozilla's list of root certificates, under a licence for data.
    ("webpki-root-certs", "CDLA-Permissive-2.0"),
    # Copyleft for single files, which are used unmodified. deltalake-core depends on it through
    # `dirs`.
    ("option-ext", "MPL-2.0"),
}


def is_allowed(crate, expression):
    """Evaluates an SPDX expression: OR binds weaker than AND, brackets come first."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def alternatives():
        allowed = conjunction()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            other = conjunction()
            allowed = allowed or other
        return allowed

    def conjunction():
        allowed = term()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            other = term()
            allowed = allowed and other
        return allowed

    def term():
        name = tokens.pop(0)
        if name == "(":
            allowed = alternatives()
            tokens.pop(0)
            return allowed
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            name = f"{name} WITH {tokens.pop(0)}"
        return name in ALLOWED or (crate, name) in EXCEPTIONS

    return alternatives() and not tokens


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        crates = json.load(file)["packages"]
    refused = [
        f"`{crate['name']}` {crate['version']}: {crate['license'] or 'no licence'}"
        for crate in crates
        if not crate["license"] or not is_allowed(crate["name"], crate["license"])
    ]
    used = {(crate["name"], name) for crate in crates for name in re.findall(r"[\w.-]+", crate["license"] or "")}
    refused += [f"the exception for `{name}` is no longer needed" for name, licence in EXCEPTIONS - used]
    for line in refused:
        print(f"error: {line}", file=sys.stderr)
    print(f"{len(crates)} crates, {len(refused)} faults")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
