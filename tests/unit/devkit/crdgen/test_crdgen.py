"""The CRD as a document: what a structural schema may hold, and that the files are up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from devkit.crdgen.__main__ import generated_files, main, stale_files
from devkit.crdgen.crd import custom_resource_definition, root_schema
from devkit.crdgen.docs import api_reference, reason_reference, split_default
from devkit.crdgen.schema import structural_schema
from pydantic import BaseModel, Field
from tests.cluster.bounds import nodes
from tests.support.apiserver import ROOT

from resnet_operator.api import Reason

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = root_schema()


def test_generated_files_are_up_to_date() -> None:
    assert stale_files(ROOT) == [], "run: make generate"


def test_chart_has_the_same_crd_byte_for_byte() -> None:
    files = generated_files()
    copy = files["charts/resnet-operator/files/crds/resnetservices.yaml"]
    assert copy == files["crds/resnetservices.yaml"]


@pytest.mark.thorough
def test_check_names_the_stale_file_and_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").touch()
    assert main(["--check"], root=tmp_path) == 1
    assert "docs/api.md is out of date; run: make generate" in capsys.readouterr().err
    assert not (tmp_path / "docs").exists(), "--check writes nothing"
    assert main([], root=tmp_path) == 0
    assert main(["--check"], root=tmp_path) == 0


def test_elsewhere_than_in_the_repository_it_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main([], root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_the_three_defaults() -> None:
    """A default in the schema changes stored objects on read, which Argo CD never forgives."""
    defaults = {path: node["default"] for path, node in nodes(SCHEMA) if "default" in node}
    assert defaults == {
        "spec.serving": {},
        "spec.serving.replicas": 1,
        "status": {"observedGeneration": -1},
    }


SPEC = [(path, node) for path, node in nodes(SCHEMA) if path.startswith("spec")]
# What an unbounded value would be; a number has both ends.
BOUNDS = {
    "string": ({"maxLength"}, {"enum"}),
    "array": ({"maxItems"},),
    "integer": ({"minimum", "maximum"},),
    "number": ({"minimum", "maximum"},),
    "boolean": (set(),),
}


def test_every_value_below_spec_is_bounded() -> None:
    """One unbounded value is one object that stops the operator for all."""
    assert len(SPEC) > 400
    assert [path for path, node in SPEC if not is_bounded(node)] == []


def is_bounded(node: dict[str, Any]) -> bool:
    if "x-kubernetes-preserve-unknown-fields" in node:
        return False
    if node.get("x-kubernetes-int-or-string"):
        return {"minimum", "maximum", "maxLength", "pattern"} <= node.keys()
    if node["type"] != "object":
        return any(keywords <= node.keys() for keywords in BOUNDS[node["type"]])
    if "additionalProperties" not in node:
        return "properties" in node
    rules = [entry["rule"] for entry in node.get("x-kubernetes-validations", ())]
    keys = any("k.size() <=" in text or "k in [" in text for text in rules)
    return keys and ("properties" in node or "maxProperties" in node)


UNBOUNDED: list[tuple[str, dict[str, Any]]] = [
    ("a text of any length", {"type": "string"}),
    ("a number with one end", {"type": "integer", "minimum": 0}),
    ("a list of any length", {"type": "array", "items": {}}),
    ("anything", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
    ("an object of anything", {"type": "object"}),
    ("any number of keys", {"type": "object", "additionalProperties": {}}),
    ("keys of any length", {"type": "object", "additionalProperties": {}, "maxProperties": 2}),
    ("a quantity of any length", {"x-kubernetes-int-or-string": True, "minimum": 0}),
]


@pytest.mark.parametrize("node", [row[1] for row in UNBOUNDED], ids=[row[0] for row in UNBOUNDED])
def test_what_has_no_bound_is_seen(node: dict[str, Any]) -> None:
    assert not is_bounded(node)


def test_the_spec_as_a_whole_is_bounded() -> None:
    """Bounded parts bound the whole; etcd takes 1.5 MiB, and the operator reads 64 KiB of it."""
    assert largest(SCHEMA["properties"]["spec"]) < 48 * 2**20


def largest(node: dict[str, Any]) -> int:
    """Return the most bytes of JSON that a schema lets through, one for each character."""
    if node.get("x-kubernetes-int-or-string"):
        return int(node["maxLength"]) + 2
    match node["type"]:
        case "object" if "additionalProperties" in node:
            return int(node["maxProperties"]) * (320 + largest(node["additionalProperties"]))
        case "object":
            return sum(len(key) + 4 + largest(v) for key, v in node["properties"].items()) + 2
        case "array":
            return int(node["maxItems"]) * (largest(node["items"]) + 1) + 2
        case "string":
            words = [len(word) for word in node.get("enum", ())]
            return int(node.get("maxLength", max(words, default=0))) + 2
        case _:
            return 24


def test_nothing_below_status_can_refuse() -> None:
    """An older CRD must not make a newer operator blind."""
    refusing = {"enum", "pattern", "maxLength", "maximum", "maxItems", "x-kubernetes-validations"}
    status = [(path, node) for path, node in nodes(SCHEMA) if path.startswith("status")]
    assert len(status) > 100
    for path, node in status:
        assert refusing.isdisjoint(node), path
        if "properties" in node:
            assert node["x-kubernetes-preserve-unknown-fields"] is True, path
            keys = ["type"] if path == "status.conditions[]" else []
            assert node.get("required", []) == keys, path


def test_no_titles_and_a_kind_for_every_list() -> None:
    for path, node in nodes(SCHEMA):
        assert "title" not in node, path
        if node.get("type") == "array":
            assert node["x-kubernetes-list-type"] in {"atomic", "map", "set"}, path


def test_every_rule_has_a_message_that_says_what_to_write() -> None:
    for path, node in nodes(SCHEMA):
        for rule in node.get("x-kubernetes-validations", []):
            message = rule["message"]
            assert "\n" not in message, path
            verbs = ("write ", "remove ", "choose ", "serving.batching.maxBatchSize may not")
            assert message.startswith(verbs), f"{path}: {message}"


def test_names_and_columns() -> None:
    spec = custom_resource_definition()["spec"]
    assert spec["names"]["shortNames"] == ["rns"]
    columns = spec["versions"][0]["additionalPrinterColumns"]
    assert [c["name"] for c in columns if "priority" not in c] == [
        "Phase",
        "Chip",
        "Batch",
        "Ready",
        "Since",
        "Message",
        "Age",
    ]


class TwoKinds(BaseModel):
    value: int | list[int] = Field(description="Cannot be said in a CRD.")


class Multiple(BaseModel):
    value: int = Field(multiple_of=8, description="A keyword that nobody has thought about.")


class Anything(BaseModel):
    value: object = Field(description="No type.")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (TwoKinds, "TwoKinds.value: a CRD field has one type, not 2"),
        (Multiple, "Multiple.value: a CRD schema cannot hold multipleOf"),
        (Anything, "Anything.value: the schema has no type"),
    ],
)
def test_what_a_crd_cannot_say_is_an_error(model: type[BaseModel], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        structural_schema(model)


@pytest.mark.parametrize(
    ("description", "what", "default"),
    [
        ("Limit of one attempt; default 3600.", "Limit of one attempt.", "3600"),
        ("Name in Triton; default metadata.name.", "Name in Triton.", "metadata.name"),
        ("Of Triton; default 1 CPU. Chip added.", "Of Triton. Chip added.", "1 CPU"),
        ("Absent means no flag.", "Absent means no flag.", ""),
    ],
)
def test_default_is_taken_out_of_the_sentence(description: str, what: str, default: str) -> None:
    assert split_default(description) == (what, default)


def test_reference_has_every_field_and_shows_placeholders() -> None:
    text = api_reference(SCHEMA)
    for path, node in nodes(SCHEMA):
        if "properties" in node and path:
            assert f"\n## {path}\n" in text
    assert "pvc://&lt;claim>/&lt;path>" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") == 6, line


def test_every_reason_has_a_heading_a_meaning_and_a_remedy() -> None:
    text = reason_reference()
    for reason in Reason:
        head = f"\n### {reason.value}\n\n{reason.meaning} **What to do:** {reason.remedy}\n"
        assert text.count(head) == 1
        assert reason.meaning.endswith(".")
        assert reason.remedy.endswith(".")
