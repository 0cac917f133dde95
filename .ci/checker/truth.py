"""Ground truth: the records of the JSON sources, read with Python's parser by the rules of
docs/types.md.

Shares no code with the product. Rejects types and formats that no fault test uses instead of
guessing their meaning.
"""
import bz2
import datetime as dt
import decimal
import gzip
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

MAX_RECORD_BYTES = 16 * 1024 * 1024
KEPT_TEXT_BYTES = 64 * 1024
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
LONGS = range(-2**63, 2**63)
# Years 1 to 9999, in microseconds.
MOMENTS = range(-62_135_596_800_000_000, 253_402_300_800_000_000)


class Unsupported(Exception):
    """A type or a format that this reader does not support."""


class Rejected(Exception):
    """A record that belongs in the quarantine."""


class Number(str):
    """A JSON number in its original spelling."""


@dataclass
class Source:
    """One source of the configuration."""
    name: str
    folder: Path
    format: str
    records: str | None
    fields: dict[str, dict]


@dataclass
class Object:
    """The content of one object."""
    key: str
    bytes: int
    rows: list[tuple] = field(default_factory=list)
    # Byte offset, line and text of each rejected record.
    rejected: list[tuple] = field(default_factory=list)

    @property
    def records(self):
        return len(self.rows) + len(self.rejected)


def read_source(source):
    """Reads every object of a source, by key. Names that start with `.` or `_` are not data."""
    objects = {}
    if not source.folder.is_dir():
        return objects
    for path in sorted(source.folder.rglob("*")):
        key = path.relative_to(source.folder)
        if path.is_file() and not any(part.startswith((".", "_")) for part in key.parts):
            objects[key.as_posix()] = read_object(source, key.as_posix(), path)
    return objects


def read_object(source, key, path):
    stored = path.read_bytes()
    found = Object(key, len(stored))
    content = decompress(key, stored)
    frame = {"ndjson": lines, "json": document}.get(source.format)
    if frame is None:
        raise Unsupported(f"format `{source.format}` of source `{source.name}`")
    for offset, line, text in frame(source, content):
        try:
            found.rows.append(decode(source.fields, text))
        except Rejected:
            kept = text[:KEPT_TEXT_BYTES].decode("utf-8", "replace")
            found.rejected.append((offset, line, kept))
    return found


def decompress(key, stored):
    if key.endswith(".gz"):
        return gzip.decompress(stored)
    if key.endswith(".bz2"):
        return bz2.decompress(stored)
    if key.endswith(".zst"):
        with pa.input_stream(pa.BufferReader(stored), compression="zstd") as stream:
            return stream.read()
    return stored


def lines(_, content):
    """Yields offset, line number and text of each line that is not blank."""
    offset = 0
    for number, line in enumerate(content.split(b"\n"), start=1):
        mark = 3 if offset == 0 and line.startswith(b"\xef\xbb\xbf") else 0
        text = line[mark:]
        text = text[:-1] if text.endswith(b"\r") else text
        if text.strip(b" \t\n\r\x0c"):
            if len(line) > MAX_RECORD_BYTES:
                raise Unsupported("a record longer than `max_record_bytes`")
            yield offset + mark, number, text
        offset += len(line) + 1


def document(source, content):
    """Yields the records of a document: one, several, an array of them, or the array under the key
    `records`.
    """
    text = content.decode("utf-8").removeprefix("\ufeff")
    at = skip_blanks(text, 0)
    while at < len(text):
        value, end = parse(source, text, at)
        if source.records:
            # The positions of these records in the text are unknown, so none of them may be
            # rejected.
            yield from ((None, None, json.dumps(item).encode()) for item in value[source.records])
        elif isinstance(value, list):
            yield from items(source, text, at + 1)
        else:
            yield place(text, at, end)
        at = skip_blanks(text, end)


def items(source, text, at):
    """Yields the items of a valid array whose opening bracket has been read."""
    at = skip_blanks(text, at)
    while text[at] != "]":
        _, end = parse(source, text, at)
        yield place(text, at, end)
        at = skip_blanks(text, end)
        at = skip_blanks(text, at + 1) if text[at] == "," else at


def parse(source, text, at):
    try:
        return json.JSONDecoder().raw_decode(text, at)
    except ValueError as error:
        raise Unsupported(f"a damaged document in source `{source.name}`: {error}") from error


def skip_blanks(text, at):
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def place(text, at, end):
    return len(text[:at].encode()), text.count("\n", 0, at) + 1, text[at:end].encode()


def decode(fields, text):
    """Returns one record as a row of the declared fields. Raises `Rejected` if it does not fit."""
    try:
        record = json.loads(text.decode("utf-8"), parse_int=Number, parse_float=Number, parse_constant=reject)
    except (ValueError, UnicodeDecodeError) as error:
        raise Rejected from error
    if not isinstance(record, dict) or has_half_pair(record):
        raise Rejected
    return tuple(column(declared, record, name) for name, declared in fields.items())


def reject(*_):
    raise Rejected


def has_half_pair(value):
    if isinstance(value, str):
        return any(0xD800 <= ord(character) <= 0xDFFF for character in value)
    if isinstance(value, dict):
        return any(has_half_pair(key) or has_half_pair(item) for key, item in value.items())
    return isinstance(value, list) and any(has_half_pair(item) for item in value)


def column(declared, record, name):
    value = record
    for key in declared.get("from", name).split("."):
        if value is None:
            break
        if not isinstance(value, dict):
            raise Rejected
        value = value.get(key)
    value = coerce(declared["type"], value)
    if value is None and declared.get("required"):
        raise Rejected
    return value


def coerce(kind, value):
    """Coerces a value to its declared type, in the Python form that `arrow_type` of the type
    accepts.
    """
    if value is None:
        return None
    if kind == "string":
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, str) else reject()
    if value == "" and not isinstance(value, (list, dict)):
        return None
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        spelled = value.lower() if isinstance(value, str) and not isinstance(value, Number) else None
        return {"true": True, "false": False}.get(spelled) if spelled in ("true", "false") else reject()
    if not isinstance(value, str):
        reject()
    if kind == "date":
        return date(value)
    if NUMBER.fullmatch(value) is None:
        reject()
    if kind == "double":
        double = float(value)
        return reject() if double in (float("inf"), float("-inf")) else double
    if kind == "long":
        return long(value)
    if kind == "timestamp(ms)":
        moment = long(value) * 1000
        return moment if moment in MOMENTS else reject()
    if kind == "timestamp(s)":
        moment = int(decimal.Decimal(value).scaleb(6).to_integral_value(decimal.ROUND_FLOOR))
        return moment if moment in MOMENTS else reject()
    raise Unsupported(f"type `{kind}`")


def long(text):
    if re.fullmatch(r"-?[0-9]+", text):
        number = int(text)
        return number if number in LONGS else reject()
    double = float(text)
    return int(double) if double.is_integer() and abs(double) < 2**53 else reject()


def date(text):
    try:
        return dt.date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else reject()
    except ValueError:
        return reject()


def arrow_type(kind):
    known = {"string": pa.string(), "boolean": pa.bool_(), "long": pa.int64(), "double": pa.float64(), "date": pa.date32()}
    if kind in known:
        return known[kind]
    if kind in ("timestamp(ms)", "timestamp(s)"):
        return pa.timestamp("us", tz="UTC")
    raise Unsupported(f"type `{kind}`")


def as_table(source, rows):
    """Returns the rows of one source as an Arrow table of the declared types."""
    columns = list(zip(*rows)) if rows else [[] for _ in source.fields]
    kinds = [arrow_type(declared["type"]) for declared in source.fields.values()]
    arrays = []
    for values, kind in zip(columns, kinds):
        if pa.types.is_timestamp(kind):
            arrays.append(pa.array(values, pa.int64()).cast(kind))
        else:
            arrays.append(pa.array([str(value) if isinstance(value, Number) else value for value in values], kind))
    return pa.table(arrays, names=list(source.fields))
