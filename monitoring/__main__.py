"""`python -m monitoring [--check]`: what `make generate` and `make verify` run for monitoring.

Writes the files, or with --check tells which are not what the tables say and exits with 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

from monitoring.dashboards import dashboards
from monitoring.reference import metrics_page
from monitoring.rules import plain_rules, rules_for_chart, runbooks

ROOT = Path(__file__).resolve().parents[1]
FILES = "charts/resnet-operator/files"


def generated_files() -> dict[str, str]:
    """Return the text of every generated file by its path in the repository."""
    pages = {f"docs/runbooks/{name}": text for name, text in runbooks().items()}
    boards = {f"{FILES}/dashboards/{name}": text for name, text in dashboards().items()}
    return {
        **boards,
        "docs/metrics.md": metrics_page(),
        f"{FILES}/alerts.yaml": rules_for_chart(),
        "monitoring/rules.yaml": plain_rules(),
        **pages,
    }


def stale_files() -> list[str]:
    """Return the paths whose content is not what the tables say, or that are of no table."""
    wanted = generated_files()
    found = [
        path
        for path, text in wanted.items()
        if not (ROOT / path).is_file() or (ROOT / path).read_text(encoding="utf-8") != text
    ]
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/runbooks").glob("*.md")}
    return found + sorted(there - wanted.keys())


def main() -> int:
    stale = stale_files()
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path} is out of date; run: make generate", file=sys.stderr)
        return 1 if stale else 0
    wanted = generated_files()
    for path in stale:
        if path not in wanted:
            (ROOT / path).unlink()
            continue
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(wanted[path], encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
