"""Each row of docs/causes.md: `why` names the object at fault and the step, as the page has it."""

from __future__ import annotations

import re

import pytest
from tests.support.apiserver import ROOT
from tests.unit.resnet_cli.recorded import NAME, NAMESPACE, NOW, Recorded
from tests.unit.resnet_cli.rows import BY_NAME, ROWS

from resnet_cli.gather import gather
from resnet_cli.parts import condition
from resnet_cli.why.verdict import judge

PAGE = (ROOT / "docs" / "causes.md").read_text()
TABLE = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| what", "| ---"))
]
# What the page says in words of its own and not in those of a message.
DESCRIBED = {"the model's or ACL's own sentence"}


def test_each_row_is_played() -> None:
    assert [row[0] for row in TABLE] == list(ROWS)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_the_object_at_fault_and_the_step_are_named(row: tuple[str, str, str]) -> None:
    what, reason, line = row
    said = []
    for cause in (BY_NAME[name] for name in ROWS[what]):
        found = judge(gather(Recorded(cause.objects, cause.logs), NAMESPACE, NAME, now=NOW))
        fault = (found.fault.kind, found.fault.name, found.fault.part)
        assert (fault, found.step) == (cause.fault, cause.step), cause.because
        assert found.reason == reason, what
        assert not found.well
        assert found.fix
        said.append(str(condition(cause.objects[0], "Ready")["message"]))
    assert line in DESCRIBED or any(fits(line, message) for message in said), (line, said)


def fits(line: str, message: str) -> bool:
    """Tell whether a message has the words of the page; `…` stands for any others."""
    parts = [re.escape(part.strip()) for part in line.partition(": and")[0].split("…")]
    return re.search(r".*".join(parts), message) is not None
