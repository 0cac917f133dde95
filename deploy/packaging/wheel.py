#!/usr/bin/env python3
"""Packs both binaries of a release as a Python wheel, which installs them as commands.

    wheel.py RELEASE ARCH GLIBC OUT        prints the name of the wheel in the folder OUT

RELEASE is the folder that becomes the tarball. GLIBC is the version that the binaries require, and
empty if they are static. Run it in the root of the repository. The same input and SOURCE_DATE_EPOCH
give the same bytes. The format is described in
https://packaging.python.org/en/latest/specifications/binary-distribution-format/ and PEP 770.
"""

import base64
import hashlib
import os
import pathlib
import re
import stat
import sys
import time
import tomllib
import zipfile

# Oldest glibc of the tags, which all versions of pip in use know. A static binary runs there too.
OLDEST_GLIBC = (2, 17)
# A zip file cannot store an earlier time.
EARLIEST = 315532800


def python_version(version):
    """Returns a version of Cargo as Python writes it: 1.0.0-rc.1 is 1.0.0rc1."""
    found = re.fullmatch(r"(\d+\.\d+\.\d+)(?:-(alpha|beta|rc)\.(\d+))?", version)
    if not found:
        sys.exit(f"error: version `{version}` has no equivalent in Python")
    release, phase, number = found.groups()
    return release if phase is None else release + {"alpha": "a", "beta": "b", "rc": "rc"}[phase] + number


def tag(arch, glibc):
    required = tuple(int(part) for part in glibc.split(".")[:2]) if glibc else OLDEST_GLIBC
    return "py3-none-manylinux_{}_{}_{}".format(*max(required, OLDEST_GLIBC), arch)


def description(repository):
    """Returns the README with links that work outside of the repository."""
    text = pathlib.Path("README.md").read_text(encoding="utf-8")
    return re.sub(r"\]\((?!#|\w+:)", f"]({repository}/blob/HEAD/", text)


def metadata(package):
    fields = [
        ("Metadata-Version", "2.4"), ("Name", "lakewright"), ("Version", python_version(package["version"])),
        ("Summary", package["description"]), ("Keywords", ",".join(package["keywords"])),
        ("License-Expression", package["license"]), ("License-File", "LICENSE"),
        ("Classifier", "Environment :: Console"), ("Classifier", "Operating System :: POSIX :: Linux"),
        ("Classifier", "Programming Language :: Rust"), ("Classifier", "Topic :: Database"),
        ("Project-URL", f"Repository, {package['repository']}"),
        ("Project-URL", f"Changelog, {package['repository']}/blob/HEAD/CHANGELOG.md"),
        ("Requires-Python", ">=3.8"), ("Description-Content-Type", "text/markdown; charset=UTF-8"),
    ]
    headers = "".join(f"{name}: {value}\n" for name, value in fields)
    return f"{headers}\n{description(package['repository'])}".encode()


def contents(release, package, wheel_tag):
    """Yields (path, mode, bytes) of each file except RECORD."""
    name = f"lakewright-{python_version(package['version'])}"
    for binary in ("coordinator", "worker"):
        yield f"{name}.data/scripts/{binary}", 0o755, (release / "bin" / binary).read_bytes()
    info = f"{name}.dist-info"
    yield f"{info}/METADATA", 0o644, metadata(package)
    lines = ["Wheel-Version: 1.0", "Generator: lakewright deploy/release", "Root-Is-Purelib: false", f"Tag: {wheel_tag}"]
    yield f"{info}/WHEEL", 0o644, "".join(f"{line}\n" for line in lines).encode()
    yield f"{info}/licenses/LICENSE", 0o644, (release / "LICENSE").read_bytes()
    yield f"{info}/sboms/sbom.cdx.json", 0o644, (release / "sbom.cdx.json").read_bytes()


def record_line(path, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"


def write(path, entries):
    """Writes the entries in their order, and RECORD, the list of all files, as the last one."""
    moment = time.gmtime(max(int(os.environ["SOURCE_DATE_EPOCH"]), EARLIEST))[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        def add(name, mode, data):
            entry = zipfile.ZipInfo(name, moment)
            # The upper half has the mode of Unix, which pip and uv restore.
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)

        record = ""
        for name, mode, data in entries:
            add(name, mode, data)
            record += record_line(name, data)
        name = name.split("/")[0] + "/RECORD"
        add(name, 0o644, f"{record}{name},,\n".encode())


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    release, arch, glibc, out = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4])
    package = tomllib.loads(pathlib.Path("Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]
    wheel_tag = tag(arch, glibc)
    name = f"lakewright-{python_version(package['version'])}-{wheel_tag}.whl"
    write(out / name, contents(release, package, wheel_tag))
    print(name)


main()
