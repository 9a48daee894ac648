"""Hooks of mkdocs.yml: what the site does that its configuration cannot say.

- The decisions stand in the navigation by their numbers, and a page that nobody placed stands under
  Reference, so that no page is left out.
- Links to files of the repository outside docs/ become plain text: the site does not have them.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<to>\.\./[^)#\s]+)(#[^)\s]*)?\)")


def pages(nav: Any) -> set[str]:
    """Return the pages that a navigation names."""
    if isinstance(nav, str):
        return {nav}
    parts = nav.values() if isinstance(nav, dict) else nav
    return {name for part in parts for name in pages(part)}


def on_config(config: Any) -> Any:
    docs = Path(config["docs_dir"])
    placed = pages(config["nav"])
    there = sorted(str(path.relative_to(docs)) for path in docs.rglob("*.md"))
    left = [name for name in there if name not in placed]
    decisions = [name for name in left if name.startswith("decisions/")]
    others = [name for name in left if name not in decisions]
    for section in config["nav"]:
        if "Reference" in section:
            section["Reference"] += [*others, {"Decisions": decisions}]
    return config


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    folder = posixpath.dirname(page.file.src_uri)

    def plain(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match["to"]))
        outside = target.startswith("../")
        exists = outside and (Path(config["docs_dir"]) / target).exists()
        return f"`{match['text']}`".replace("``", "`") if exists else match[0]

    return LINK.sub(plain, markdown)
