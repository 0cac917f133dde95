"""A lake in a folder: its configuration, manifests and Parquet files, and the violations found so
far.
"""
import hashlib
import json
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import truth


@dataclass
class Violation:
    """One broken promise: a stable name and one sentence."""
    name: str
    sentence: str

    def __str__(self):
        return f"{self.name}: {self.sentence}"


@dataclass
class Request:
    """The lake to check."""
    config: Path
    # Folder of the lake; None for the one in the configuration.
    lake: Path | None = None
    # Folders of sources that replace those of the configuration.
    sources: dict[str, Path] = field(default_factory=dict)
    # Copies of buckets in folders: the start of a URL, and the folder that replaces it.
    buckets: dict[str, str] = field(default_factory=dict)
    # Whether the files of older versions must exist too; false after a vacuum of old files.
    all_versions: bool = True


class Lake:
    def __init__(self, request):
        self.violations = []
        self.all_versions = request.all_versions
        self.base = request.config.resolve().parent
        self.settings = tomllib.loads(request.config.read_text())
        self.root = request.lake or self.folder(self.settings["lake"]["url"], request)
        self.sources = {name: self.source(name, settings, request) for name, settings in self.settings.get("sources", {}).items()}

    def source(self, name, settings, request):
        fields = {column: kind if isinstance(kind, dict) else {"type": kind} for column, kind in settings["fields"].items()}
        folder = request.sources.get(name) or self.folder(settings["url"], request)
        return truth.Source(name, folder, settings.get("format", "ndjson"), settings.get("records"), fields)

    def folder(self, url, request):
        for start, copy in request.buckets.items():
            if url.startswith(start):
                return Path(copy + url.removeprefix(start))
        if "://" in url:
            raise ValueError(f"`{url}` is not in a folder; give a copy of its bucket")
        return self.base / url

    def violated(self, name, sentence):
        self.violations.append(Violation(name, sentence))

    def expect(self, is_so, name, sentence):
        if not is_so:
            self.violated(name, sentence)
        return is_so

    @cached_property
    def manifests(self):
        """Returns the documents that are JSON by their number, which comes from the file name."""
        found = {}
        for path in sorted((self.root / "_lake/manifest").glob("*.json")):
            document = path.read_bytes()
            try:
                found[int(path.stem)] = json.loads(document)
            except ValueError as error:
                self.violated("manifest.readable", f"`{path.name}`: {error}")
                continue
            # The digest is the last member. It covers all bytes before its comma.
            sealed, _, seal = document.rpartition(b',"digest":"sha256:')
            is_whole = seal == hashlib.sha256(sealed).hexdigest().encode() + b'"}'
            self.expect(is_whole, "manifest.digest", f"`{path.name}` does not have the digest that it names")
        return {number: found[number] for number in sorted(found)}

    @property
    def newest(self):
        return next(reversed(self.manifests.values()), None)

    @cached_property
    def objects(self):
        """Returns the ground truth: every object of every source, by source and key."""
        return {name: truth.read_source(source) for name, source in self.sources.items()}

    def parquet(self, path):
        """Returns the rows of one file; None, and a violation, if it cannot be read."""
        try:
            return pq.ParquetFile(self.root / path).read()
        except Exception as error:  # Any exception means that the file cannot be read.
            self.violated("file.readable", f"`{path}`: {error}")
            return None

    def rows_of(self, files, columns, types):
        """Returns the rows of several files as a multiset of tuples, with partition columns from
        the manifest.
        """
        rows = Counter()
        for file in files:
            table = self.parquet(file["path"])
            if table is None:
                continue
            for name, value in file.get("partition_values", {}).items():
                if name not in table.column_names:
                    table = table.append_column(name, pa.array([typed(value, types[name])] * table.num_rows))
            missing = [name for name in columns if name not in table.column_names]
            if missing:
                self.violated("file.columns", f"`{file['path']}` lacks {missing}")
                continue
            rows.update(tuples(table.select(columns)))
        return rows


def typed(value, kind):
    """Converts a partition value, which the manifest stores as text, to its Delta type."""
    if value is None or kind == "string":
        return value
    if kind in ("integer", "long", "short", "byte"):
        return int(value)
    return float(value) if kind in ("double", "float") else value


def tuples(table):
    """Returns the rows of an Arrow table, with timestamps as microseconds."""
    columns = []
    for column in table.columns:
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", tz=column.type.tz)).cast(pa.int64())
        columns.append([hashable(value) for value in column.to_pylist()])
    return zip(*columns)


def hashable(value):
    if isinstance(value, list):
        return tuple(hashable(item) for item in value)
    return tuple(sorted((name, hashable(item)) for name, item in value.items())) if isinstance(value, dict) else value


def difference(expected, found):
    """Describes how two multisets differ, with an example of each side; empty if they are equal."""
    missing, extra = expected - found, found - expected
    parts = []
    for side, rows in (("missing", missing), ("not expected", extra)):
        if rows:
            parts.append(f"{rows.total()} rows {side}, such as {next(iter(rows))}")
    return "; ".join(parts)
