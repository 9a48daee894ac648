"""`compare`: what counts as "already so". Each case is a pair of trees and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import deterministic

from resnet_operator.api.kubernetes.quantity import parse_quantity
from resnet_operator.seen.compare import MERGE_KEYS, is_subset


@dataclass(frozen=True)
class Case:
    reason: str
    desired: Any
    live: Any
    same: bool


CASES = (
    Case("the same tree says the same", {"a": {"b": [1, "x"]}}, {"a": {"b": [1, "x"]}}, True),
    Case("others may add fields", {"a": 1}, {"a": 1, "b": 2}, True),
    Case("others may add fields below", {"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
    Case("a changed value is a difference", {"a": 1}, {"a": 2}, False),
    Case("a removed key is a difference", {"a": 1, "b": 2}, {"a": 1}, False),
    Case("a removed key below is a difference", {"a": {"b": 1}}, {"a": {}}, False),
    Case("a map where we state a value is a difference", {"a": 1}, {"a": {"b": 1}}, False),
    Case("a value where we state a map is a difference", {"a": {"b": 1}}, {"a": 1}, False),
    Case("the server may leave out an empty map", {"a": {}}, {}, True),
    Case("the server may leave out an empty list", {"a": []}, {}, True),
    Case(
        "the server may leave out an empty string", {"name": "X", "value": ""}, {"name": "X"}, True
    ),
    Case(
        "the server may write null for a map of empty values", {"a": {"b": ""}}, {"a": None}, True
    ),
    Case("a missing map of values is a difference", {"a": {"b": "c"}}, {"a": None}, False),
    Case("the server may write null for an empty list", {"a": []}, {"a": None}, True),
    Case("a missing list of values is a difference", {"a": [1]}, {"a": None}, False),
    Case("a list where we state nothing is a difference", {"a": []}, {"a": [1]}, False),
    # Booleans and 0 are statements.
    Case("0 replicas is a statement", {"replicas": 0}, {}, False),
    Case("0 replicas is not 1", {"replicas": 0}, {"replicas": 1}, False),
    Case("false is not 0", {"a": False}, {"a": 0}, False),
    Case("true is not 1", {"a": True}, {"a": 1}, False),
    Case("true removed by hand is a difference", {"readOnly": True}, {}, False),
    Case(
        "false that hardens a pod is a difference when it was removed: the default is true",
        {"automountServiceAccountToken": False},
        {},
        False,
    ),
    Case(
        "false that the server never stores is not a difference",
        {"readOnly": False},
        {},
        True,
    ),
    # Quantities.
    Case(
        "the server writes 1Gi for 1024Mi",
        {"limits": {"memory": "1024Mi"}},
        {"limits": {"memory": "1Gi"}},
        True,
    ),
    Case(
        "the server writes text for a number",
        {"limits": {"cpu": 2}},
        {"limits": {"cpu": "2"}},
        True,
    ),
    Case("500m is half a CPU", {"requests": {"cpu": "0.5"}}, {"requests": {"cpu": "500m"}}, True),
    Case(
        "another quantity is a difference",
        {"limits": {"cpu": "2"}},
        {"limits": {"cpu": "3"}},
        False,
    ),
    Case(
        "a quantity that is none is a difference",
        {"limits": {"cpu": "x"}},
        {"limits": {"cpu": "y"}},
        False,
    ),
    Case("outside of quantities, 1024Mi is not 1Gi", {"value": "1024Mi"}, {"value": "1Gi"}, False),
    Case(
        "the size of /dev/shm is a quantity too, and the server writes it shorter",
        {"emptyDir": {"medium": "Memory", "sizeLimit": "80000000"}},
        {"emptyDir": {"medium": "Memory", "sizeLimit": "80M"}},
        True,
    ),
    # Lists with merge keys.
    Case(
        "containers are found by name, in any order, beside injected ones",
        {"containers": [{"name": "a", "image": "1"}]},
        {"containers": [{"name": "sidecar"}, {"name": "a", "image": "1", "stdin": False}]},
        True,
    ),
    Case(
        "a container with another image is a difference",
        {"containers": [{"name": "a", "image": "1"}]},
        {"containers": [{"name": "a", "image": "2"}]},
        False,
    ),
    Case(
        "a removed container is a difference",
        {"containers": [{"name": "a"}]},
        {"containers": []},
        False,
    ),
    Case(
        "a renamed variable is a difference",
        {"env": [{"name": "A", "value": "1"}]},
        {"env": [{"name": "B", "value": "1"}]},
        False,
    ),
    Case(
        "mounts are found by path: one volume may be mounted twice",
        {"volumeMounts": [{"name": "v", "mountPath": "/b"}, {"name": "v", "mountPath": "/a"}]},
        {"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]},
        True,
    ),
    Case(
        "an owner is found by uid, beside other owners",
        {"ownerReferences": [{"uid": "1", "controller": True}]},
        {"ownerReferences": [{"uid": "2"}, {"uid": "1", "controller": True}]},
        True,
    ),
    Case(
        "an owner who is no longer the controller is a difference",
        {"ownerReferences": [{"uid": "1", "controller": True}]},
        {"ownerReferences": [{"uid": "1"}]},
        False,
    ),
    # Ports: containers and Services have different keys under one field name.
    Case(
        "the server adds nodePort to a Service's port",
        {"ports": [{"name": "http", "port": 8000, "protocol": "TCP", "targetPort": "http"}]},
        {
            "ports": [
                {
                    "name": "http",
                    "port": 8000,
                    "protocol": "TCP",
                    "targetPort": "http",
                    "nodePort": 30080,
                }
            ]
        },
        True,
    ),
    Case(
        "no protocol means TCP",
        {"ports": [{"port": 1}]},
        {"ports": [{"port": 1, "protocol": "TCP"}]},
        True,
    ),
    Case(
        "one port number with two protocols is two ports",
        {"ports": [{"port": 1, "protocol": "UDP", "name": "u"}]},
        {"ports": [{"port": 1, "protocol": "TCP", "name": "t"}]},
        False,
    ),
    Case(
        "a Service's port that leads elsewhere is a difference",
        {"ports": [{"port": 8000, "targetPort": "http"}]},
        {"ports": [{"port": 8000, "targetPort": "grpc"}]},
        False,
    ),
    Case(
        "a container's port is found by containerPort",
        {"ports": [{"containerPort": 8000, "name": "http", "protocol": "TCP"}]},
        {
            "ports": [
                {"containerPort": 8001},
                {"containerPort": 8000, "name": "http", "protocol": "TCP"},
            ]
        },
        True,
    ),
    # Other lists are whole.
    Case(
        "arguments are one value: order counts", {"args": ["a", "b"]}, {"args": ["b", "a"]}, False
    ),
    Case("arguments are one value: length counts", {"args": ["a"]}, {"args": ["a", "b"]}, False),
    Case(
        "a list of maps without a key is compared one by one",
        {"items": [{"key": "a"}]},
        {"items": [{"key": "a", "mode": 1}]},
        True,
    ),
    # Atomic maps are whole as well.
    Case(
        "one more label in a Service's selector, and it selects nothing",
        {"spec": {"selector": {"app": "a"}}},
        {"spec": {"selector": {"app": "a", "tier": "b"}}},
        False,
    ),
    Case(
        "a selector as it should be", {"selector": {"app": "a"}}, {"selector": {"app": "a"}}, True
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_is_subset(case: Case) -> None:
    assert is_subset(case.desired, case.live) is case.same, case.reason


QUANTITIES = (
    ("1", Decimal(1)),
    (2, Decimal(2)),
    (0.5, Decimal("0.5")),
    ("100m", Decimal("0.1")),
    ("1u", Decimal("0.000001")),
    ("1n", Decimal("1e-9")),
    ("1k", Decimal(1000)),
    ("1Ki", Decimal(1024)),
    ("1.5Gi", Decimal(1610612736)),
    ("5E", Decimal("5e18")),
    ("5Ei", Decimal(5 * 2**60)),
    ("5e3", Decimal(5000)),
    ("5E3", Decimal(5000)),
    ("1e-3", Decimal("0.001")),
    ("+1", Decimal(1)),
    (".5", Decimal("0.5")),
    ("5.", Decimal(5)),
    ("", None),
    ("Mi", None),
    ("1mi", None),
    ("1ki", None),
    ("1 Mi", None),
    ("one", None),
    ("NaN", None),
    ("Infinity", None),
    ("1_000", None),
    ("１", None),
    (True, None),
)


@pytest.mark.parametrize(("text", "number"), QUANTITIES, ids=repr)
def test_parse_quantity(text: str | float, number: Decimal | None) -> None:
    assert parse_quantity(text) == number


# Trees as a template makes them: no map key repeats inside a list with merge keys.
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3)
plain_keys = st.sampled_from(["a", "b", "args", "readOnly", "value"])


def maps_by(keys: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    fixed: dict[str, st.SearchStrategy[Any]] = {key: st.integers(0, 5) for key in keys}
    return st.fixed_dictionaries(fixed, optional={"image": st.text(max_size=2)})


def merge_lists(field: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    keys = MERGE_KEYS[field]
    return st.lists(
        maps_by(keys), max_size=3, unique_by=lambda item: tuple(item[key] for key in keys)
    )


def one_map(children: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    plain = st.dictionaries(plain_keys, children, max_size=3)
    field = st.sampled_from(sorted(MERGE_KEYS))
    keyed = field.flatmap(lambda name: merge_lists(name).map(lambda items: {name: items}))
    return st.tuples(plain, keyed).map(lambda pair: {**pair[0], **pair[1]})


trees = st.recursive(scalars, lambda c: one_map(c) | st.lists(c, max_size=3), max_leaves=12)


def with_additions(value: Any, field: str = "") -> Any:
    """Return the tree as others might leave it: more fields, injected items, another order."""
    if isinstance(value, dict):
        return {key: with_additions(item, key) for key, item in value.items()} | {"theirs": {}}
    if isinstance(value, list):
        if field in MERGE_KEYS:
            injected = dict.fromkeys(MERGE_KEYS[field], "theirs")
            return [injected, *(with_additions(item) for item in reversed(value))]
        return [with_additions(item) for item in value]
    return value


@pytest.mark.thorough
@deterministic
@given(trees)
def test_a_tree_is_a_subset_of_itself(tree: Any) -> None:
    assert is_subset(tree, tree)


@pytest.mark.thorough
@deterministic
@given(one_map(trees))
def test_additions_of_others_are_no_difference(tree: dict[str, Any]) -> None:
    assert is_subset(tree, with_additions(tree))


@pytest.mark.thorough
@deterministic
@given(one_map(trees), st.data())
def test_a_changed_leaf_is_a_difference(tree: dict[str, Any], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(tree)))
    assert not is_subset(tree, tree | {key: "another value"})


@deterministic
@given(st.integers(0, 10**9), st.sampled_from(["", "m", "k", "Ki", "M", "Mi", "G", "Gi"]))
def test_quantities_are_compared_by_value(number: int, suffix: str) -> None:
    parsed = parse_quantity(f"{number}{suffix}")
    assert parsed is not None
    assert is_subset({"limits": {"cpu": f"{number}{suffix}"}}, {"limits": {"cpu": f"{parsed:f}"}})
