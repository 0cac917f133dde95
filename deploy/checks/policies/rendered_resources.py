"""Reads the rendered state of an example."""

import json


def rendered_resources(file):
    """Returns the managed resources of all modules: {example, address, type, values}."""
    state = json.loads(file.read_text())["test_state"]
    return [{**found, "example": file.stem} for found in walk(state["root_module"]) if found["mode"] == "managed"]


def walk(module):
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from walk(child)
