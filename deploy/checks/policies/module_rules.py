"""Checks rules for the Terraform modules that no other tool has.

    module_rules.py MODULES RENDERED

MODULES is deploy/terraform, RENDERED the folder that `rendered` prints.
"""

import re
import sys
from collections import Counter
from pathlib import Path

import hcl2
import module_tables
from rendered_resources import rendered_resources

# Resources that would give a machine an address, inbound access, or a scaling that does not know
# our workers.
NEVER = {
    "aws_internet_gateway", "aws_nat_gateway", "aws_eip", "aws_key_pair", "aws_iam_user", "aws_iam_access_key",
    "aws_emr_managed_scaling_policy", "aws_appautoscaling_policy",
}
LIMIT_LINES = 500


def main(modules, rendered):
    folders = sorted({file.parent for file in modules.rglob("*.tf")})
    problems = [problem for folder in folders for problem in problems_of(folder, folder.relative_to(modules))]
    resources = [found for file in sorted(rendered.glob("*.json")) for found in rendered_resources(file)]
    problems += untagged(resources)
    for problem in problems:
        print(problem)
    if problems or len(folders) < 8 or len(resources) < 100:
        sys.exit(1)
    print(f"module rules: {len(folders)} modules and examples, {len(resources)} rendered resources, no problem")


def problems_of(folder, name):
    parsed = {file.name: hcl2.loads(file.read_text()) for file in sorted(folder.glob("*.tf"))}
    text = "\n".join(file.read_text() for file in sorted(folder.glob("*.tf")))
    yield from (f"{name}: {problem}" for problem in [
        *variable_problems(folder, parsed, text),
        *output_problems(parsed),
        *version_problems(parsed, text),
        *layout_problems(folder, parsed, text),
    ])


def blocks(parsed, kind):
    for file in parsed.values():
        for block in file.get(kind, []):
            yield from block.items()


def variable_problems(folder, parsed, text):
    rejected = Counter(re.findall(r"expect_failures = \[var\.(\w+)\]", "\n".join(
        file.read_text() for file in (folder / "tests").glob("*.tftest.hcl"))))
    for variable, body in blocks(parsed, "variable"):
        if not body.get("type"):
            yield f"variable `{variable}` has no type"
        if not body.get("description"):
            yield f"variable `{variable}` has no description"
        if not re.search(rf"\bvar\.{variable}\b", re.sub(r'(?ms)^variable ".*?^\}', "", text)):
            yield f"variable `{variable}` is not used"
        validations = len(body.get("validation", []))
        # Every value of a bool is valid, and the type checks the output of our own module.
        if not validations and body.get("type") != ["${bool}"] and variable != "lake":
            yield f"variable `{variable}` has no validation"
        if rejected[variable] < validations:
            yield f"variable `{variable}` has {validations} validations, {rejected[variable]} runs that reject a value"


def output_problems(parsed):
    for output, body in blocks(parsed, "output"):
        if not body.get("description"):
            yield f"output `{output}` has no description"


def version_problems(parsed, text):
    for file, content in parsed.items():
        for block in content.get("terraform", []):
            if file != "versions.tf":
                yield f"{file}: versions belong in versions.tf"
            if not block.get("required_version"):
                yield "there is no required_version"
            pinned = block.get("required_providers", [{}])[0]
            used = set(re.findall(r'^(?:resource|data) "([a-z]+)_', text, re.M))
            for provider in used - pinned.keys():
                yield f"provider `{provider}` is used and not required"
            for provider, wanted in pinned.items():
                if not re.fullmatch(r"~> [0-9]+(\.[0-9]+)+", wanted[0].get("version", "")):
                    yield f"provider `{provider}` is not pinned to a major version"


def layout_problems(folder, parsed, text):
    for file in ("main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"):
        if not (folder / file).exists():
            yield f"there is no {file}"
    readme = (folder / "README.md").read_text() if (folder / "README.md").exists() else ""
    if module_tables.tables(folder) not in readme:
        yield "the tables in README.md are not those of the module: run deploy/checks/policies/module_tables.py"
    for resource, _ in blocks(parsed, "resource"):
        if resource in NEVER:
            yield f"`{resource}` must not be here"
    for address in re.findall(r'"(0\.0\.0\.0/0|::/0)"', text):
        yield f"`{address}` must not be here"
    for check, reason in re.findall(r"checkov:skip=(\w+)(.*)", text):
        if len(reason) < 20:
            yield f"the skip of {check} has no reason beside it"
    for file in [*folder.glob("*.tf"), *folder.glob("tests/*")]:
        if len(file.read_text().splitlines()) > LIMIT_LINES:
            yield f"{file.name} has more than {LIMIT_LINES} lines"


def untagged(resources):
    """Checks that every resource that supports tags has them."""
    for resource in resources:
        tags = resource["values"].get("tags", "none")
        if tags != "none" and "Project" not in (tags or {}):
            yield f"{resource['example']}: {resource['address']} has no tags"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
