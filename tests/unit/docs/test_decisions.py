"""The index of decisions names each of them, by its own title, with status and date."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "docs" / "decisions"
ROW = re.compile(r"^\| \[(\d{3})\]\(([\w.-]+\.md)\) \| (.+) \| (.+) \| (\d{4}-\d\d-\d\d) \|$")
STATUS = re.compile(
    r"accepted|replaced by \[\d{3}\]\([\w.-]+\.md\)|accepted, changed by \[\d{3}\]\([\w.-]+\.md\)"
)


def title(path: Path) -> str:
    first = path.read_text().splitlines()[0]
    return re.sub(r"^# (\d{3}: )?", "", first)


def test_every_decision_is_in_the_index() -> None:
    lines = (FOLDER / "index.md").read_text().splitlines()
    rows = [found for line in lines if (found := ROW.match(line))]
    listed = {found[2]: found for found in rows}
    files = {path.name: path for path in FOLDER.glob("[0-9]*.md")}
    assert listed.keys() == files.keys()
    assert [found[1] for found in rows] == sorted(found[1] for found in rows)
    for name, path in files.items():
        number, _, what, status, _ = listed[name].groups()
        assert name.startswith(number)
        assert what == title(path)
        assert STATUS.fullmatch(status), status
