"""The commands that tests take out of documentation pages, and what counts as a difference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.snapshot import Snapshot, differences
from tests.support.pages import blocks, commands

if TYPE_CHECKING:
    from pathlib import Path

PAGE = """# Title

Words.

```sh
one
# a comment, no heading
```

## Second

```console
$ two
output
$ three
```

```yaml
four: 4
```

### Third

```sh
five
```

```sh
six
```
"""


def test_commands_stand_under_their_heading(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    assert commands(page) == {
        "Title": "one\n# a comment, no heading\n",
        "Second": "two\nthree\n",
        "Third": "five\nsix\n",
    }
    assert blocks(page, "yaml") == ["four: 4\n"]


CONDITION = {"type": "Ready", "status": "True", "reason": "Serving", "message": "a"}
BEFORE = Snapshot(
    specs={"a": {"suspend": False}},
    statuses={"a": {"ready": "1/1", "conditions": [CONDITION], "phaseStartTime": "1"}},
    pods={"u": "a-1"},
    restarts={"u": 0},
    jobs=frozenset({"j"}),
)


def status(**change: Any) -> dict[str, Any]:
    return {"statuses": {"a": BEFORE.statuses["a"] | change}}


SEEN: list[tuple[str, dict[str, Any], list[str]]] = [
    ("nothing", {}, []),
    ("a restart", {"restarts": {"u": 1}}, ["pod a-1 restarted"]),
    ("another pod", {"pods": {"v": "a-2"}, "restarts": {}}, ["pod a-1 went", "pod a-2 came"]),
    ("a conversion", {"jobs": frozenset({"j", "k"})}, ["job k came"]),
    ("a Job that was tidied up", {"jobs": frozenset()}, []),
    ("a default in the spec", {"specs": {"a": {"suspend": False, "n": 1}}},
     ["spec./a/n: None became 1"]),
    ("a lost object", {"specs": {}},
     ["spec./a: {'suspend': False} became None"]),
    ("a new field of the status", status(more=1), []),
    ("a lost field of the status", {"statuses": {"a": {"conditions": [CONDITION]}}},
     ["status./a/ready: '1/1' became None"]),
    ("another time", status(phaseStartTime="2"), []),
    ("another sentence", status(conditions=[CONDITION | {"message": "b"}]), []),
    ("another reason", status(conditions=[CONDITION | {"reason": "Other"}]),
     ["status./a/conditions/Ready/reason: 'Serving' became 'Other'"]),
    ("one condition more", status(conditions=[CONDITION, CONDITION | {"type": "New"}]), []),
    ("one condition less", status(conditions=[]),
     [f"status./a/conditions/Ready: {CONDITION!r} became None"]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "change", "seen"), SEEN, ids=[one[0] for one in SEEN])
def test_differences_between_two_moments(
    what: str, change: dict[str, Any], seen: list[str]
) -> None:
    assert differences(BEFORE, replace(BEFORE, **change)) == seen, what
