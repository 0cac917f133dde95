#!/usr/bin/env python3
"""Lists the crates of the binaries, from `cargo metadata`: as a CycloneDX file, and in the form
that cargo-auditable embeds.

    cargo metadata --format-version 1 --locked --filter-platform TARGET | bill_of_materials.py cyclonedx
    … | bill_of_materials.py auditable PACKAGE          zlib-compressed JSON for the section .dep-v0

Only what is linked or runs during the build counts: dependencies of tests do not.
"""

import datetime
import json
import os
import sys
import uuid
import zlib

ROOTS = ("lakewright-coordinator", "lakewright-worker")
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


class Graph:
    def __init__(self, metadata):
        self.packages = {package["id"]: package for package in metadata["packages"]}
        self.nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}

    def root(self, name):
        found = [package["id"] for package in self.packages.values() if package["name"] == name and package["source"] is None]
        if len(found) != 1:
            sys.exit(f"error: there is no package `{name}` in the workspace")
        return found[0]

    def needs(self, package_id):
        """Yields (id, whether only the build needs it) of each direct dependency."""
        for dependency in self.nodes[package_id]["deps"]:
            kinds = {kind["kind"] for kind in dependency["dep_kinds"]} - {"dev"}
            if kinds:
                yield dependency["pkg"], kinds == {"build"}

    def is_proc_macro(self, package_id):
        return any("proc-macro" in target["kind"] for target in self.packages[package_id]["targets"])

    def closure(self, roots):
        """Returns each package that the roots need, with whether it runs only in the build."""
        found = {}
        todo = [(root, False) for root in roots]
        while todo:
            package_id, for_build = todo.pop()
            for_build = for_build or self.is_proc_macro(package_id)
            if package_id in found and (for_build or not found[package_id]):
                continue
            found[package_id] = for_build
            todo += [(other, for_build or build_only) for other, build_only in self.needs(package_id)]
        return found


def source(package):
    return "crates.io" if package["source"] == REGISTRY else "local" if package["source"] is None else "registry"


def auditable(graph, root_name):
    """https://github.com/rust-secure-code/cargo-auditable/blob/master/cargo-auditable.schema.json"""
    root = graph.root(root_name)
    found = graph.closure([root])
    order = sorted(found, key=lambda package_id: (graph.packages[package_id]["name"], graph.packages[package_id]["version"]))
    index = {package_id: i for i, package_id in enumerate(order)}
    listed = []
    for package_id in order:
        package = graph.packages[package_id]
        entry = {"name": package["name"], "version": package["version"], "source": source(package)}
        if found[package_id]:
            entry["kind"] = "build"
        needs = sorted({index[other] for other, _ in graph.needs(package_id)})
        if needs:
            entry["dependencies"] = needs
        if package_id == root:
            entry["root"] = True
        listed.append(entry)
    return zlib.compress(json.dumps({"packages": listed}, separators=(",", ":")).encode(), 9)


def licences(package):
    # Older crates separate alternatives by a slash.
    expression = (package["license"] or "").replace("/", " OR ")
    return [{"expression": expression}] if expression else []


def cyclonedx(graph):
    roots = [graph.root(name) for name in ROOTS]
    found = graph.closure(roots)
    version = graph.packages[roots[0]]["version"]
    reference = {i: f"pkg:cargo/{graph.packages[i]['name']}@{graph.packages[i]['version']}" for i in found}
    checksums = locked_checksums()
    components = []
    for package_id in sorted(found, key=reference.get):
        package = graph.packages[package_id]
        component = {
            "type": "application" if package_id in roots else "library",
            "bom-ref": reference[package_id], "name": package["name"], "version": package["version"],
            "scope": "excluded" if found[package_id] else "required", "purl": reference[package_id],
        }
        if licences(package):
            component["licenses"] = licences(package)
        checksum = checksums.get((package["name"], package["version"]))
        if checksum:
            component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        components.append(component)
    dependencies = [{"ref": "lakewright", "dependsOn": sorted(reference[root] for root in roots)}]
    dependencies += [
        {"ref": reference[i], "dependsOn": sorted({reference[other] for other, _ in graph.needs(i)})} for i in sorted(found, key=reference.get)
    ]
    moment = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.UTC)
    identity = json.dumps([components, dependencies], sort_keys=True)
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        # The serial number is derived from the contents, so that the same commit gives the same
        # bytes.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, identity)}",
        "metadata": {
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "application", "bom-ref": "lakewright", "name": "lakewright", "version": version},
        },
        "components": components, "dependencies": dependencies,
    }


def locked_checksums():
    import tomllib
    with open("Cargo.lock", "rb") as lock:
        packages = tomllib.load(lock)["package"]
    return {(package["name"], package["version"]): package.get("checksum") for package in packages}


def main():
    graph = Graph(json.load(sys.stdin))
    if sys.argv[1:] == ["cyclonedx"]:
        print(json.dumps(cyclonedx(graph), indent=1))
    elif len(sys.argv) == 3 and sys.argv[1] == "auditable":
        sys.stdout.buffer.write(auditable(graph, sys.argv[2]))
    else:
        sys.exit(__doc__)


main()
