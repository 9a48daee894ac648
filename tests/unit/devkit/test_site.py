"""The documentation site: no page is left out, broken links fail it, nothing is loaded."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from devkit.progress import cache_root
from devkit.site_hooks import pages

pytestmark = pytest.mark.thorough  # builds the documentation site

ROOT = Path(__file__).parents[3]
LOADED = re.compile(r"<(?:script|img|link|iframe)\b[^>]*(?:src|href)=\"(https?:)?//[^>]+>")


@pytest.fixture(scope="module")
def mkdocs() -> str:
    folder = cache_root() / "docs-venv"
    command = [str(ROOT / "devkit/venv.sh"), str(folder), str(ROOT / "requirements/docs.lock")]
    subprocess.run(command, check=True)
    return str(folder / "bin" / "mkdocs")


def build(mkdocs: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Build as the Makefile does, with the pages of a folder."""
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    config = config.partition("\nnav:")[0].replace(
        "devkit/site_hooks.py", str(ROOT / "devkit/site_hooks.py")
    )
    nav = "\nnav:\n- Start: [index.md]\n- Reference: []\n"
    (folder / "mkdocs.yml").write_text(config + nav, encoding="utf-8")
    flags = re.search(r"bin/mkdocs build (.*?) 2>&1", (ROOT / "Makefile").read_text())
    assert flags, "the Makefile builds the site"
    command = [mkdocs, "build", *flags[1].split()]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True)


GOOD = {"index.md": "# A\n\n[b](more/b.md#part)", "more/b.md": "# B\n\n## Part\n\n[a](../index.md)"}
BROKEN = [
    ("index.md", "# A\n\n[b](gone.md)", "a page that is not there"),
    ("index.md", "# A\n\n[b](more/b.md#gone)", "a section that is not there"),
    ("more/b.md", "# B\n\n## Part\n\n[x](/index.md)", "an absolute link"),
    ("more/b.md", "# B\n\n## Part\n\n[x](../../gone.py)", "a file outside that is not there"),
]


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_pages_that_nobody_placed_are_built(mkdocs: str, tmp_path: Path) -> None:
    outside = {"../code.py": "", "more/c.md": "# C\n\n[code](../../code.py)"}
    done = build(mkdocs, written(tmp_path, GOOD | outside))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "build/site/more/c.html").read_text(encoding="utf-8")
    assert "<code>code</code>" in page, "a file of the repository is named, not linked"
    assert not LOADED.search(page), "nothing is loaded from another host"
    assert '"more/b.html"' in (tmp_path / "build/site/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "text", "reason"), BROKEN, ids=[case[2] for case in BROKEN])
def test_a_broken_link_fails(
    mkdocs: str, tmp_path: Path, name: str, text: str, reason: str
) -> None:
    done = build(mkdocs, written(tmp_path, GOOD | {name: text}))
    assert done.returncode != 0, reason
    assert name in done.stderr, "it says where"


def test_pages_of_a_navigation() -> None:
    nav = [{"Start": ["index.md", {"Quick": "quick.md"}]}, {"Reference": []}]
    assert pages(nav) == {"index.md", "quick.md"}
