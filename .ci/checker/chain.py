"""The chain of manifests and the files that they name (I2, I5)."""
from collections import Counter

import pyarrow.parquet as pq

from xxh64 import xxh64

FORMATS = (1, 2)
COUNTS = ("objects", "bytes", "records", "staged", "quarantined")


def check(lake):
    if not lake.expect(lake.manifests, "manifest.exists", "there is no manifest"):
        return
    check_numbers(lake)
    seen = {}
    for number, manifest in lake.manifests.items():
        for file in named_files(manifest):
            check_name(lake, number, file)
            if lake.all_versions or manifest is lake.newest:
                previous = seen.setdefault(file["path"], file)
                if previous is file:
                    check_file(lake, number, file)
                elif (previous["bytes"], rows(previous)) != (file["bytes"], rows(file)):
                    lake.violated("file.changed", f"manifests disagree about `{file['path']}`")
        twice = [path for path, times in Counter(file["path"] for file in named_files(manifest)).items() if times > 1]
        lake.expect(not twice, "file.twice", f"manifest {number} names {twice} twice")
    check_totals(lake)


def check_numbers(lake):
    numbers = list(lake.manifests)
    lake.expect(numbers == list(range(1, len(numbers) + 1)), "manifest.numbers", f"the numbers are {numbers}, not 1 to {len(numbers)}")
    for number, manifest in lake.manifests.items():
        parent = None if number == 1 else number - 1
        lake.expect(manifest.get("version") == number, "manifest.number", f"manifest {number} has version {manifest.get('version')}")
        lake.expect(manifest.get("parent") == parent, "manifest.parent", f"manifest {number} has parent {manifest.get('parent')}")
        lake.expect(manifest.get("format") in FORMATS, "manifest.format", f"manifest {number} has format {manifest.get('format')}")
    lakes = {manifest.get("lake_id") for manifest in lake.manifests.values()}
    lake.expect(len(lakes) == 1 and None not in lakes, "manifest.lake_id", f"the manifests are of lakes {lakes}")
    runs = Counter(manifest["run"] for manifest in lake.manifests.values())
    lake.expect(max(runs.values()) == 1, "manifest.runs", f"one run committed twice: {runs}")


def named_files(manifest):
    """Returns every Parquet file that a manifest names."""
    for source in manifest["sources"].values():
        yield from source["staging"]
        yield from source["quarantine"]
        yield from source["ledger"]
    for table in manifest["tables"]:
        yield from table["files"]


def rows(file):
    return file.get("rows", file.get("objects"))


def check_name(lake, number, file):
    """Checks that a file belongs to the run whose manifest named it first, and that no manifest
    names it twice.
    """
    adder = lake.manifests.get(file["added_in"])
    path = file["path"]
    if not lake.expect(adder is not None and file["added_in"] <= number, "file.added_in", f"`{path}` was added in {file['added_in']}"):
        return
    lake.expect(adder["run"] in path.rsplit("/", 1)[-1], "file.run", f"`{path}` is not a file of run {adder['run']}, which added it")
    lake.expect(".." not in path.split("/") and not path.startswith("/"), "file.path", f"`{path}` leads out of the lake")


def check_file(lake, number, file):
    path = lake.root / file["path"]
    if not lake.expect(path.is_file(), "file.exists", f"`{file['path']}` of manifest {number} does not exist"):
        return
    size = path.stat().st_size
    lake.expect(size == file["bytes"], "file.size", f"`{file['path']}` has {size} bytes, manifest {number} says {file['bytes']}")
    digest = xxh64(path.read_bytes())
    lake.expect(file.get("digest") == digest, "file.digest", f"`{file['path']}` has digest {digest}, manifest {number} says {file.get('digest')}")
    try:
        found = pq.read_metadata(path).num_rows
    except Exception as error:  # Any exception means that the file cannot be read.
        lake.violated("file.readable", f"`{file['path']}`: {error}")
        return
    lake.expect(found == rows(file), "file.rows", f"`{file['path']}` has {found} rows, manifest {number} says {rows(file)}")


def check_totals(lake):
    """Checks that totals are the sums of the commits' counts, and that every record became one row
    (I1).
    """
    sums = {}
    for number, manifest in lake.manifests.items():
        for name, counts in manifest["counts"].items():
            of_source = sums.setdefault(name, Counter())
            of_source.update({count: counts[count] for count in COUNTS})
        for name, source in manifest["sources"].items():
            totals, expected = source["totals"], sums.get(name, Counter())
            for count in COUNTS:
                lake.expect(totals[count] == expected[count], "counts.totals",
                            f"manifest {number}: {count} of `{name}` total {totals[count]}, its commits counted {expected[count]}")
            for kind, files in (("staged", source["staging"]), ("quarantined", source["quarantine"]), ("objects", source["ledger"])):
                found = sum(rows(file) for file in files)
                lake.expect(found == totals[kind], "counts.files", f"manifest {number}: files of `{name}` have {found} {kind}, totals say {totals[kind]}")
            lake.expect(totals["records"] == totals["staged"] + totals["quarantined"], "counts.balance", f"manifest {number}: `{name}` {totals}")

