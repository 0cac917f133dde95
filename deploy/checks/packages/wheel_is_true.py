"""Compares the wheel of a packed release with its own RECORD, and with the tarball.

    wheel_is_true.py RELEASE        a folder of deploy/release that contains `unpacked`
"""

import base64
import email
import hashlib
import pathlib
import stat
import sys
import zipfile

from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

release = pathlib.Path(sys.argv[1])
unpacked = release / "unpacked"
# Where each file of the tarball is in the wheel.
COPIES = {
    "bin/coordinator": "data/scripts/coordinator", "bin/worker": "data/scripts/worker",
    "LICENSE": "dist-info/licenses/LICENSE", "sbom.cdx.json": "dist-info/sboms/sbom.cdx.json",
}


def broken(fault):
    sys.exit(f"does not hold: the wheel: {fault}")


def check_record(archive, record):
    """Compares RECORD with the files, which pip does not do."""
    recorded = {}
    for line in archive.read(record).decode().splitlines():
        path, digest, size = line.rsplit(",", 2)
        recorded[path] = digest, size
    if sorted(recorded) != sorted(archive.namelist()):
        broken(f"RECORD lists other files: {set(recorded) ^ set(archive.namelist())}")
    if recorded.pop(record) != ("", ""):
        broken("RECORD has a digest of itself")
    for path, found in recorded.items():
        data = archive.read(path)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        if found != (f"sha256={digest}", str(len(data))):
            broken(f"RECORD has another digest or size of `{path}`")


def check_modes(archive):
    for entry in archive.infolist():
        expected = stat.S_IFREG | (0o755 if "/scripts/" in entry.filename else 0o644)
        if entry.external_attr >> 16 != expected:
            broken(f"`{entry.filename}` has the mode {entry.external_attr >> 16:o}, not {expected:o}")


def check_tags(wheel, declared):
    name, version, _, tags = parse_wheel_filename(wheel.name)
    if name != "lakewright" or {str(tag) for tag in tags} != set(declared):
        broken(f"its name says other tags than WHEEL: {declared}")
    # The binaries run here, so pip must accept them here.
    if not tags & set(sys_tags()):
        broken(f"this machine does not support {declared}")
    return version


def check_metadata(archive, info, version):
    fields = email.message_from_bytes(archive.read(f"{info}/METADATA"))
    expected = {"Name": "lakewright", "Version": str(version), "License-Expression": "Apache-2.0", "License-File": "LICENSE"}
    for field, value in expected.items():
        if fields.get_all(field) != [value]:
            broken(f"METADATA has `{field}: {fields[field]}`, not `{value}`")
    text = fields.get_payload(decode=True).decode()
    if not text.startswith("# Lakewright\n") or "\n## Install\n" not in text:
        broken("its description is not the README")
    relative = [target for target in (rest.split(")")[0] for rest in text.split("](")[1:]) if not target.startswith(("#", "https://"))]
    if relative:
        broken(f"its description has links that lead nowhere on another page: {relative}")


def main():
    wheels = sorted(release.glob("lakewright-*.whl"))
    if len(wheels) != 1:
        sys.exit(f"does not hold: there are {len(wheels)} wheels")
    prefix = "-".join(wheels[0].name.split("-")[:2])
    info = f"{prefix}.dist-info"
    with zipfile.ZipFile(wheels[0]) as archive:
        files = {f"{prefix}.{path}" for path in COPIES.values()} | {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD")}
        if set(archive.namelist()) != files or len(archive.namelist()) != len(files):
            broken(f"it has other files than it should: {files ^ set(archive.namelist())}")
        check_record(archive, f"{info}/RECORD")
        check_modes(archive)
        version = check_tags(wheels[0], email.message_from_bytes(archive.read(f"{info}/WHEEL")).get_all("Tag"))
        check_metadata(archive, info, version)
        for original, copy in COPIES.items():
            if archive.read(f"{prefix}.{copy}") != (unpacked / original).read_bytes():
                broken(f"`{copy}` is not the one of the tarball")


main()
