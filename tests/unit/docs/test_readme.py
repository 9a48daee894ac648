"""The README promises nothing that is not there: commands, fields, files and links."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from resnet_operator.api.spec import ResNetServiceSpec

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "samples/README.md"]


def blocks(language: str = "") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_make_targets_exist() -> None:
    named = set(re.findall(r"\bmake ([a-z-]+)", README))
    listed = subprocess.run(
        ["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True
    ).stdout
    assert named <= set(re.findall(r"make ([a-z-]+)", listed))


def test_the_version_is_that_of_the_package() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.findall(r"^Version ([0-9.]+[0-9])", README, re.MULTILINE) == [package]


def test_the_smallest_object_is_valid() -> None:
    (text,) = blocks("yaml")
    value = yaml.safe_load(text)
    assert value["kind"] == "ResNetService"
    ResNetServiceSpec.model_validate(value["spec"])


def test_fields_of_the_table_exist() -> None:
    schema = ResNetServiceSpec.model_json_schema(by_alias=True)
    rows = re.findall(r"^\| (`.*?`) \|", README, re.MULTILINE)
    paths: list[str] = []
    for row in rows:
        names = re.findall(r"`([^`]+)`", row)
        parent = names[0].rsplit(".", 1)[0]
        paths += [f"{parent}{name}" if name.startswith(".") else name for name in names]
    fields = [path for path in paths if path.split(".")[0] in schema["properties"]]
    assert len(fields) >= 10
    for path in fields:
        node = schema
        for part in path.split("."):
            node = next((one for one in node.get("anyOf", ()) if "properties" in one), node)
            reference = re.search(r'"\$ref": "#/\$defs/(\w+)"', str(node).replace("'", '"'))
            if "properties" not in node:
                assert reference, f"{path} is no field"
                node = schema["$defs"][reference[1]]
            assert part in node["properties"], f"{path} is no field"
            node = node["properties"][part]


@pytest.mark.parametrize("file", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", file.read_text()):
        if "://" not in link:
            assert (file.parent / link).exists(), f"{file.name} links to {link}"


def test_files_named_in_commands_exist() -> None:
    for name in re.findall(r"\b((?:samples|charts)/[\w./-]+)", README):
        assert (ROOT / name.rstrip(".")).exists(), name
