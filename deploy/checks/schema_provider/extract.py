"""Extracts provider schemas from the generated bindings for CDK Terrain on PyPI.

Each resource of the bindings is one generated JavaScript file with the name, type and nesting of
every argument and whether it is required. It does not contain the values that an argument accepts,
which arguments exclude each other, and which change replaces a resource. Therefore these schemas do
not check that.
"""

import re
import tarfile
import zipfile

# The bindings do not contain which values are sensitive. An output that uses one must be marked, so
# those in use are listed here.
SENSITIVE = {
    ("tls_private_key", "private_key_pem"),
    ("tls_private_key", "private_key_pem_pkcs8"),
    ("tls_private_key", "private_key_openssh"),
    ("tls_self_signed_cert", "private_key_pem"),
    ("tls_locally_signed_cert", "ca_private_key_pem"),
    ("aws_ssm_parameter", "value"),
}

FUNCTION = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{\n(.*?)^\}", re.S | re.M)
CLASS = re.compile(r"^class (\w+) extends cdktn\.(\w+) \{\n(.*?)^\}", re.S | re.M)
INPUT = re.compile(
    r'^ +(\w+): \{\n +value: (.*),\n +isBlock: (true|false),\n +type: "(\w+)",\n +storageClassType: "(\w+)",', re.M
)
MARK = re.compile(r"^    // (\w+) - computed: (true|false), optional: (true|false), required: (true|false)\n(.*?)^    \}", re.S | re.M)
SYNTHESIS = re.compile(r"^    synthesizeHclAttributes\(\) \{\n(.*?)^    \}", re.S | re.M)
KIND = re.compile(r'static tfResourceType = "(\w+)"')
PROVIDER_KIND = re.compile(r"terraformProviderSource: '([\w/]+)'")

SCALARS = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
GETTERS = {"String": "string", "Number": "number", "Boolean": "bool"}


def sources(wheel):
    """Yields the JavaScript of every resource, data source and provider in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        bundle = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        with archive.open(bundle) as file, tarfile.open(fileobj=file, mode="r|gz") as package:
            for member in package:
                if re.fullmatch(r"package/lib/[^/]+/index(-structs/\w+)?\.js", member.name):
                    text = package.extractfile(member).read().decode()
                    yield member.name.split("/")[2], text.split("//# sourceMappingURL", 1)[0]


def schemas(wheel, wanted):
    """Returns the schemas of the `wanted` pairs, such as ("resource", "aws_vpc"), and of the
    provider, as ("provider", "").
    """
    found, parts = {}, {}
    for folder, text in sources(wheel):
        parts.setdefault(folder, []).append(text)
    for folder, texts in parts.items():
        text = "\n".join(texts)
        kind = KIND.search(text)
        if folder == "provider":
            key = ("provider", "")
        elif kind:
            key = ({"data": "data", "ephemeral": "ephemeral"}.get(folder.split("-")[0], "resource"), kind[1])
        else:
            continue
        if key[0] == "provider" or key in wanted:
            found[key] = Bindings(text, key[1]).root()
    return found


class Bindings:
    """One file of the bindings."""

    def __init__(self, text, kind):
        self.kind = kind
        self.inputs = {lower_first(name): INPUT.findall(body) for name, body in FUNCTION.findall(text)}
        self.marks, self.main = {}, None
        for name, base, body in CLASS.findall(text):
            marks = {mark[0]: mark[1:] for mark in MARK.findall(body)}
            if base in ("TerraformResource", "TerraformDataSource", "TerraformProvider"):
                self.main = (marks, INPUT.findall(SYNTHESIS.search(body)[1]))
            elif name.endswith("OutputReference"):
                self.marks[lower_first(name.removesuffix("OutputReference"))] = marks

    def root(self):
        return self.block(*self.main)

    def block(self, marks, inputs):
        """Returns a block: attributes {name: {type, required, optional, computed, sensitive}} and
        nested blocks.
        """
        attributes, blocks = {}, {}
        for name, value, is_block, nesting, storage in inputs:
            computed, optional, required, _ = marks.get(name, ("false", "true", "false", ""))
            if is_block == "true":
                struct = re.search(r"(\w+?)ToHclTerraform", value)[1]
                many = "listMapperHcl" in value
                blocks[name] = {
                    "nesting": {"struct": "single"}.get(nesting, nesting),
                    "min": int(required == "true"),
                    "max": 0 if many or nesting == "struct" else 1,
                    "block": self.block(self.marks.get(struct, {}), self.inputs[struct]),
                }
            else:
                attributes[name] = self.attribute(name, attribute_type(nesting, storage), computed, optional, required)
        for name, (computed, optional, required, body) in marks.items():
            if name not in attributes and name not in blocks:
                attributes[name] = self.attribute(name, self.output_type(body), computed, optional, required)
        return {"attributes": attributes, "blocks": blocks}

    def attribute(self, name, type_, computed, optional, required):
        return {
            "type": type_,
            "computed": computed == "true",
            "optional": optional == "true",
            "required": required == "true",
            "sensitive": (self.kind, name) in SENSITIVE,
        }

    def output_type(self, body):
        """Returns the type of a value that only the provider sets, from the getter that reads it."""
        nested = re.search(r"new (\w+?)(List|MapList|Map|OutputReference)\(this, \"\w+\"(?:, (true|false))?\)", body)
        if nested and not nested[1].startswith("cdktn"):
            members = self.marks[lower_first(nested[1])]
            object_ = ["object", {name: self.output_type(mark[3]) for name, mark in members.items()}]
            return object_ if nested[2] == "OutputReference" else ["set" if nested[3] == "true" else "list", object_]
        map_ = re.search(r"new cdktn\.(\w+?)(Map|MapList)\(this", body)
        if map_:
            inner = ["map", GETTERS[map_[1]]]
            return inner if map_[2] == "Map" else ["list", inner]
        getter = re.search(r"(Fn\.tolist\()?this\.get(String|Number|Boolean|Any)?(List|Map|MapList)?Attribute\(", body)
        if not getter:
            return "dynamic"
        scalar = GETTERS.get(getter[2] or "String", "dynamic")
        if getter[3] == "List":
            return ["set" if getter[1] else "list", scalar]
        return ["map", scalar] if getter[3] else scalar


def attribute_type(nesting, storage):
    """Converts a type: `set` and `stringList` give ["set", "string"]. The words of the storage are
    read from the right.
    """
    if storage in SCALARS:
        return SCALARS[storage]
    inner = re.fullmatch(r"(\w+?)(List|Map)", storage)
    return [nesting, attribute_type("list" if inner[1].endswith("List") else "map", inner[1])]


def lower_first(name):
    return name[0].lower() + name[1:]
