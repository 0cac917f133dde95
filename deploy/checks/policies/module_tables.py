"""Compares the tables of variables and outputs in each module's README with the module.

    module_tables.py MODULE…      writes the tables again
"""

import re
import sys
from pathlib import Path

BEGIN, END = "<!-- variables and outputs, written by deploy/checks/policies/module_tables.py -->", "<!-- end -->"
BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.S | re.M)


def tables(module):
    """Returns both tables as Markdown."""
    variables, outputs = [], []
    for file in sorted(module.glob("*.tf")):
        for kind, name, body in BLOCK.findall(file.read_text()):
            (variables if kind == "variable" else outputs).append((name, body))
    lines = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for name, body in variables:
        default = argument(body, "default")
        lines.append(f"| `{name}` | `{type_of(body)}` | {f'`{default}`' if default else 'required'} | {text_of(body)} |")
    lines += ["", "| output | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {text_of(body)} |" for name, body in outputs]
    return "\n".join(lines)


def argument(body, name):
    found = re.search(rf"^  {name} +=(.*)$", body, re.M)
    return found[1].strip() if found else ""


def type_of(body):
    type_ = argument(body, "type")
    return "object" if type_.endswith("({") else type_


def text_of(body):
    return argument(body, "description").strip('"').replace('\\"', '"').replace("|", "\\|")


def readme_with(readme, text):
    before, rest = readme.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}"


if __name__ == "__main__":
    for module in map(Path, sys.argv[1:]):
        file = module / "README.md"
        file.write_text(readme_with(file.read_text(), tables(module)))
