"""Where a change goes: a runtime, a scheme and a field of conversion are named in few places."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from tests.unit.test_layout import MODULES, name_of, tree_of

from resnet_contract.address import FORMS
from resnet_operator.api.conversion import Conversion
from resnet_operator.api.serving.runtime import Runtime

pytestmark = pytest.mark.thorough
API = "resnet_operator/api/serving/runtime.py"
ROWS = "resnet_operator/resolve/runtimes/rows.py"
# Runtimes with blocks of their own in the spec are named where those are.
PLAIN = (Runtime.ASCEND_OM, Runtime.ONNX_RUNTIME)
CONTRACT = "resnet_contract/address.py"
# Beside the contract: what is said of an address before it is stored, and who fetches it.
OF_SCHEMES = {
    "pvc": {"mounted by the operator": "resnet_operator/"},
    "configmap": {"mounted by the operator": "resnet_operator/",
                  "nothing lies beside its key": "resnet_jobs/commands/fetch.py"},
    "obs": {"the form of a bucket's name": "resnet_operator/api/source/uri.py",
            "who signs": "resnet_jobs/sources/s3.py"},
    "modelscope": {"endpoints and tokens": "resnet_jobs/sources/hub.py",
                   "how its files are listed": "resnet_jobs/hub/listing.py"},
}  # fmt: skip


def strings(tree: ast.Module) -> Iterator[str]:
    """Return the text that a module computes with; docstrings and sentences are none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("runtime", PLAIN)
def test_a_runtime_is_named_by_its_word_and_its_row(runtime: Runtime) -> None:
    found = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr == runtime.name
    }
    assert found == {API, ROWS}


@pytest.mark.parametrize("scheme", sorted(OF_SCHEMES))
def test_a_scheme_is_named_by_the_contract_and_by_who_fetches_it(scheme: str) -> None:
    assert scheme in FORMS
    named = {name_of(path) for path in MODULES if scheme in set(strings(tree_of(path)))}
    elsewhere = {name for name in named if not name.startswith(tuple(OF_SCHEMES[scheme].values()))}
    assert elsewhere == {CONTRACT}


def test_fields_of_conversion_are_listed_nowhere() -> None:
    """What a field is for is said at the field; a list of several names would be a second place."""
    fields = {*Conversion.model_fields, *(f.alias for f in Conversion.model_fields.values())}
    lists = [
        (name_of(path), node.lineno)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Set | ast.Tuple | ast.List)
        and len(fields & {e.value for e in node.elts if isinstance(e, ast.Constant)}) > 2
    ]
    assert lists == []
