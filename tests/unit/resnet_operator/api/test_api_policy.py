"""docs/api-policy.md, as far as schemas can show it: nothing of a released CRD is taken away."""

from __future__ import annotations

import copy
import operator
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.crd import read_crd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[4]
RELEASED = sorted((Path(__file__).parent / "released").glob("*-crd.yaml"))
# Bounds of a released schema that may be moved in one direction only.
UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")
LOWER = ("minimum", "minLength", "minItems", "minProperties")


crd = cache(read_crd)


def schemas(value: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        version["name"]: version["schema"]["openAPIV3Schema"]
        for version in value["spec"]["versions"]
        if version["served"]
    }


def losses(old: dict[str, Any], new: dict[str, Any], path: str = "") -> Iterator[str]:
    """Say what an object that the old schema took could not say under the new one."""
    if old.get("type") != new.get("type"):
        yield f"{path}: {old.get('type')} became {new.get('type')}"
        return
    yield from (f"{path}: {word} is required now" for word in _more(old, new, "required"))
    yield from (f"{path}: the value {word!r} is gone" for word in _fewer(old, new, "enum"))
    for bound in (*UPPER, *LOWER):
        worse = operator.gt if bound in UPPER else operator.lt
        if bound in new and (bound not in old or worse(old[bound], new[bound])):
            yield f"{path}: {bound} {old.get(bound)} became {new[bound]}"
    for name, child in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            yield f"{path}.{name}: is gone"
        else:
            yield from losses(child, new["properties"][name], f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(old.get(part), dict):
            yield from losses(old[part], new.get(part) or {}, f"{path}[]")


def _more(old: dict[str, Any], new: dict[str, Any], key: str) -> list[str]:
    return sorted(set(new.get(key, ())) - set(old.get(key, ())))


def _fewer(old: dict[str, Any], new: dict[str, Any], key: str) -> list[Any]:
    return sorted(set(old.get(key, ())) - set(new[key])) if key in new else []


# What was accepted and never worked, because no pod could be made with it; by what is lost.
NEVER_WORKED: dict[str, str] = {
    r"\.resources\.(requests|limits)\[\]: (minimum|maximum|maxLength) ": "no quantity of a pod",
    r"\.(mean|std): maxItems 4 became 3": "a picture has three channels at most",
    r"\.tolerationSeconds: (minimum|maximum) ": "beyond what a toleration of a pod holds",
    r"\.topologySpreadConstraints\[\]: \w+ is required now": "a pod without it is refused",
}


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_nothing_of_a_release_is_gone(path: Path) -> None:
    old, new = crd(path), crd(ROOT / "crds" / "resnetservices.yaml")
    assert schemas(old).keys() <= schemas(new).keys(), "a served version is gone"
    found = [
        line
        for version, schema in schemas(old).items()
        for line in losses(schema, schemas(new)[version])
    ]
    assert not [line for line in found if not any(re.search(one, line) for one in NEVER_WORKED)]
    for pattern, reason in NEVER_WORKED.items():
        assert any(re.search(pattern, line) for line in found), f"no longer needed: {reason}"


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_ways_to_look_at_it_stay(path: Path) -> None:
    """Printer columns, short names and subresources are part of people's scripts."""
    old, new = crd(path), crd(ROOT / "crds" / "resnetservices.yaml")
    for before in old["spec"]["versions"]:
        [now] = [v for v in new["spec"]["versions"] if v["name"] == before["name"]]
        columns = [{c["name"] for c in v["additionalPrinterColumns"]} for v in (before, now)]
        assert columns[0] <= columns[1]
        assert now["subresources"] == before["subresources"]
    names = [value["spec"]["names"] for value in (old, new)]
    assert names[0]["kind"] == names[1]["kind"]
    assert set(names[0]["shortNames"]) <= set(names[1]["shortNames"])


def test_there_is_a_released_crd_to_compare_with() -> None:
    assert RELEASED


def changed(change: Callable[[dict[str, Any]], object]) -> list[str]:
    """Return what is lost when the spec's schema is changed so."""
    [schema] = schemas(crd(RELEASED[0])).values()
    spec = schema["properties"]["spec"]
    other = copy.deepcopy(spec)
    change(other["properties"])
    return list(losses(spec, other))


def enum_of(fields: dict[str, Any]) -> list[str]:
    values: list[str] = fields["model"]["properties"]["format"]["enum"]
    return values


def count_of(fields: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = fields["accelerator"]["properties"]["count"]
    return schema


CHANGES: list[tuple[str, Callable[[dict[str, Any]], object], list[str]]] = [
    ("nothing", lambda _: None, []),
    ("a field comes", lambda fields: fields.update(new={"type": "string"}), []),
    ("a value comes", lambda fields: enum_of(fields).append("New"), []),
    ("a sentence changes", lambda fields: fields["suspend"].update(description="x"), []),
    ("a field goes", lambda fields: fields.pop("suspend"), [".suspend: is gone"]),
    ("a type changes", lambda fields: fields["suspend"].update(type="string"),
     [".suspend: boolean became string"]),
    ("a value goes", lambda fields: enum_of(fields).remove("OM"),
     [".model.format: the value 'OM' is gone"]),
    ("a field is required", lambda fields: fields["model"]["required"].append("sha256"),
     [".model: sha256 is required now"]),
    ("less is allowed", lambda fields: count_of(fields).update(maximum=1),
     [".accelerator.count: maximum 16 became 1"]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "change", "lost"), CHANGES, ids=[one[0] for one in CHANGES])
def test_what_counts_as_a_loss(
    what: str, change: Callable[[dict[str, Any]], object], lost: list[str]
) -> None:
    assert changed(change) == lost, what
