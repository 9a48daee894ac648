"""Facts on their way from `fetch` to `prepare` and on to `publish`: one file in the folder conf.

What is read back is checked again: foreign containers run in between.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.left_files import read_bounded
from resnet_jobs.base.workspace import write_json
from resnet_jobs.publisher.facts import NOTHING, PublisherFacts, parse_facts

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 8 * 2**20


def write_facts(path: Path, facts: PublisherFacts, notes: list[str]) -> None:
    write_json(path, {"facts": facts.with_labels(), "notes": notes})


def read_config(path: Path) -> dict[str, Any]:
    """The hub's own config.json as `fetch` left it; empty without one."""
    try:
        value = json.loads(read_bounded(path, most=MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def read_facts(path: Path) -> tuple[PublisherFacts, list[str]]:
    """(facts, notes); nothing where nobody left any."""
    try:
        value: Any = json.loads(read_bounded(path, most=MOST_BYTES))
        said, notes = value["facts"], [str(note) for note in value["notes"]]
        facts, more = parse_facts(said, source=str(said.get("source", ""))[:500])
    except FileNotFoundError:
        return NOTHING, []
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return NOTHING, ["what the publisher says could not be read back: ignored"]
    return facts, notes + more
