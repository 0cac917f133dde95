#!/usr/bin/env python3
"""Packs a release as a Debian package: both binaries, and units for a machine of your own.

    deb.py RELEASE ARCH GLIBC OUT        prints the name of the package in the folder OUT

RELEASE is the folder that becomes the tarball. GLIBC is the version that the binaries require, and
empty if they are static. Run it in the root of the repository. The same input and SOURCE_DATE_EPOCH
give the same bytes.

The package is written here, and not by `dpkg-deb`, so that a release can be built on any Linux. The
format, ar with two tar files, is described in deb(5). The members are compressed with gzip like the
tarball: xz is smaller, but takes minutes.
"""

import datetime
import email.utils
import gzip
import hashlib
import io
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# The units that make sense on any machine. The others handle spot notices of EC2.
UNITS = ("run.service", "run.timer", "vacuum.service", "vacuum.timer", "worker.service")
# Where bootstrap.sh installs a program, and where the package does.
PLACES = {"/opt/lakewright/current/bin/": "/usr/bin/", "/opt/lakewright/current/host/": "/usr/libexec/lakewright/"}
DOCUMENTATION = "usr/share/doc/lakewright"
# Where shells look for the completions of packages.
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/coordinator",
    "zsh": "usr/share/zsh/vendor-completions/_coordinator",
    "fish": "usr/share/fish/vendor_completions.d/coordinator.fish",
}


class Package:
    def __init__(self, arch, glibc):
        self.facts = tomllib.loads(pathlib.Path("Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]
        # `~` sorts before the release: 1.0.0~rc.1 is older than 1.0.0.
        self.version = self.facts["version"].replace("-", "~") + "-1"
        if arch not in ARCHITECTURES:
            sys.exit(f"error: Debian's name of the architecture `{arch}` is not known")
        self.architecture = ARCHITECTURES[arch]
        self.glibc = glibc
        self.moment = int(os.environ["SOURCE_DATE_EPOCH"])
        self.file_name = f"lakewright_{self.version}_{self.architecture}.deb"


def moved(unit):
    """Returns a unit or drop-in with the paths of the package."""
    text = unit.read_text(encoding="utf-8")
    for old, new in PLACES.items():
        text = text.replace(old, new)
    return text.encode()


def installed(release, package):
    """Returns {path: (mode, bytes)} of each file that the package installs."""
    files = {f"usr/bin/{binary}": (0o755, (release / "bin" / binary).read_bytes()) for binary in ("coordinator", "worker")}
    files["usr/libexec/lakewright/back-off"] = 0o755, (release / "host/back-off").read_bytes()
    for unit in UNITS:
        files[f"usr/lib/systemd/system/lakewright-{unit}"] = 0o644, moved(release / f"systemd/lakewright-{unit}")
    for drop_in in sorted((release / "systemd/without-tls").iterdir()):
        files[f"{DOCUMENTATION}/examples/without-tls/{drop_in.name}"] = 0o644, moved(drop_in)
    files |= generated(release / "bin/coordinator")
    files[f"{DOCUMENTATION}/copyright"] = 0o644, copyright_file(package)
    files[f"{DOCUMENTATION}/sbom.cdx.json"] = 0o644, (release / "sbom.cdx.json").read_bytes()
    files[f"{DOCUMENTATION}/changelog.gz"] = 0o644, gzip.compress(pathlib.Path("CHANGELOG.md").read_bytes(), mtime=0)
    files[f"{DOCUMENTATION}/changelog.Debian.gz"] = 0o644, gzip.compress(debian_changelog(package), mtime=0)
    return files


def generated(coordinator):
    """Returns the manual pages and the completions of shells, which the program itself makes."""
    files = {}
    for shell, path in COMPLETIONS.items():
        made = subprocess.run([coordinator, "completions", shell], check=True, stdout=subprocess.PIPE)
        files[path] = 0o644, made.stdout
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([coordinator, "man", folder], check=True)
        for page in sorted(pathlib.Path(folder).iterdir()):
            files[f"usr/share/man/man1/{page.name}.gz"] = 0o644, gzip.compress(page.read_bytes(), mtime=0)
    return files


def copyright_file(package):
    """https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"""
    return f"""\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: lakewright
Source: {package.facts["repository"]}

Files: *
Copyright: the contributors of Lakewright
License: {package.facts["license"]}
Comment:
 The binaries contain crates of other authors. /{DOCUMENTATION}/sbom.cdx.json
 lists each crate with its version, checksum and licence.

License: Apache-2.0
 On Debian systems, the text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
""".encode()


def debian_changelog(package):
    moment = email.utils.format_datetime(datetime.datetime.fromtimestamp(package.moment, datetime.UTC))
    return f"""\
lakewright ({package.version}) unstable; urgency=medium

  * Version {package.facts["version"]}. The changes are in changelog.gz.

 -- {package.facts["authors"][0]}  {moment}
""".encode()


def control_file(package, files):
    # Like dpkg, count files in blocks of a KiB, and a block for each folder.
    size = sum(-(-len(data) // 1024) for _, data in files.values()) + len(folders(files))
    fields = {
        "Package": "lakewright", "Version": package.version, "Architecture": package.architecture,
        "Maintainer": package.facts["authors"][0], "Installed-Size": size,
        # deploy/release checks that the binaries need no other libraries.
        "Depends": f"libc6 (>= {package.glibc}), libgcc-s1" if package.glibc else None,
        # For TLS to S3.
        "Recommends": "ca-certificates",
        "Section": "database", "Priority": "optional", "Homepage": package.facts["repository"],
        "Description": f"""{package.facts["description"]}
 Lakewright ingests JSON files from folders or S3, each of them once, and
 rejects malformed records into a quarantine. It builds tables with SQL, checks
 them, and commits them together as Parquet files with a Delta Lake log.
 .
 The program coordinator runs alone. Any number of workers can share its work.""",
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value is not None).encode()


def control(package, files):
    members = {"control": (0o644, control_file(package, files))}
    sums = [f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}  {path}\n" for path, (_, data) in sorted(files.items())]
    members["md5sums"] = 0o644, "".join(sums).encode()
    for script in ("postinst", "prerm", "postrm"):
        members[script] = 0o755, pathlib.Path("deploy/packaging/debian", script).read_bytes()
    return members


def folders(files):
    return {str(parent) for path in files for parent in pathlib.PurePosixPath(path).parents} - {"."}


def compressed_tar(files, moment):
    """Returns a tar file whose entries are sorted and belong to root."""
    entries = {folder: (0o755, None) for folder in folders(files)} | files
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=packed, mtime=0) as stream, \
            tarfile.open(mode="w", fileobj=stream, format=tarfile.GNU_FORMAT) as archive:
        for path, (mode, data) in [("", (0o755, None))] + sorted(entries.items()):
            entry = tarfile.TarInfo(f"./{path}")
            entry.mode, entry.mtime, entry.uname, entry.gname = mode, moment, "root", "root"
            entry.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            entry.size = len(data or b"")
            archive.addfile(entry, io.BytesIO(data or b""))
    return packed.getvalue()


def write(path, members, moment):
    with open(path, "wb") as file:
        file.write(b"!<arch>\n")
        for name, data in members:
            header = f"{name:<16}{moment:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n"
            # Members start at even offsets.
            file.write(header.encode() + data + b"\n" * (len(data) % 2))


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    package, out = Package(sys.argv[2], sys.argv[3]), pathlib.Path(sys.argv[4])
    files = installed(pathlib.Path(sys.argv[1]), package)
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", compressed_tar(control(package, files), package.moment)),
        ("data.tar.gz", compressed_tar(files, package.moment)),
    ]
    write(out / package.file_name, members, package.moment)
    print(package.file_name)


main()
