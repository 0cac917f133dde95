"""Compares the bill of materials of a packed release with the CycloneDX schema, Cargo.lock, and the
lists in the binaries.

    bill_of_materials_is_true.py RELEASE        a folder of deploy/release that contains `unpacked`
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import tomllib
import zlib

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

unpacked = pathlib.Path(sys.argv[1]) / "unpacked"
# Needed by tests and benchmarks, but by nothing that is shipped.
ONLY_FOR_TESTS = {"proptest", "rcgen", "insta", "criterion"}


def listed_in(binary):
    """Reads the list of cargo-auditable: zlib-compressed JSON in the section .dep-v0."""
    with tempfile.NamedTemporaryFile() as section:
        subprocess.run(["objcopy", "--dump-section", f".dep-v0={section.name}", binary, "/dev/null"], check=True)
        return json.loads(zlib.decompress(pathlib.Path(section.name).read_bytes()))["packages"]


def main():
    text = (unpacked / "sbom.cdx.json").read_text()
    if error := JsonStrictValidator(SchemaVersion.V1_5).validate_str(text):
        sys.exit(f"does not hold: the bill of materials is no CycloneDX 1.5: {str(error).splitlines()[0]}")
    components = json.loads(text)["components"]
    with open("Cargo.lock", "rb") as lock:
        locked = {(package["name"], package["version"]): package.get("checksum") for package in tomllib.load(lock)["package"]}

    named = {}
    for component in components:
        key = component["name"], component["version"]
        if key not in locked:
            sys.exit(f"does not hold: {key} is not in Cargo.lock")
        hashes = [digest["content"] for digest in component.get("hashes", [])]
        if hashes != [locked[key]] * (locked[key] is not None):
            sys.exit(f"does not hold: {key} has another checksum than in Cargo.lock")
        named[key] = component["scope"]
    if surplus := ONLY_FOR_TESTS & {name for name, _ in named}:
        sys.exit(f"does not hold: {surplus} are for tests only")

    in_binaries = {}
    for binary in ("coordinator", "worker"):
        packages = listed_in(unpacked / "bin" / binary)
        roots = [package["name"] for package in packages if package.get("root")]
        if roots != [f"lakewright-{binary}"]:
            sys.exit(f"does not hold: the root of {binary} is {roots}")
        for package in packages:
            if not all(0 <= other < len(packages) for other in package.get("dependencies", [])):
                sys.exit(f"does not hold: {package['name']} of {binary} needs what is not listed")
            key = package["name"], package["version"]
            kept = in_binaries.get(key) == "required" or package.get("kind", "runtime") == "runtime"
            in_binaries[key] = "required" if kept else "excluded"
    if in_binaries != named:
        different = sorted(set(in_binaries.items()) ^ set(named.items()))
        sys.exit(f"does not hold: the binaries list other crates than the bill of materials: {different[:5]}")
    for crate in ("datafusion", "tonic", "tokio"):
        if not any(name == crate and scope == "required" for (name, _), scope in named.items()):
            sys.exit(f"does not hold: {crate} is not in the bill of materials")
    print(f"           {len(named)} crates, {sum(scope == 'excluded' for scope in named.values())} of them for the build only")


main()
