"""The guides say what works, and their Chinese twins say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.support.pages import BLOCK, blocks

from resnet_operator.api.spec import ResNetServiceSpec

DOCS = Path(__file__).parents[3] / "docs"
ZH = DOCS / "zh"
# The front page of the Chinese part is a twin of the repository's own.
README = {ZH / "README.md": DOCS.parent / "README.md"}
TWINS = {page: README.get(page, DOCS / page.relative_to(ZH)) for page in sorted(ZH.rglob("*.md"))}
WITH_OBJECTS = sorted(
    [DOCS / "index.md", DOCS / "quickstart.md", *DOCS.glob("guides/*.md"), *TWINS]
)


def fenced(page: Path) -> list[tuple[str, str]]:
    """Return kind and text of each block. Comments may be translated."""
    text = page.read_text(encoding="utf-8")
    found = [(match["kind"], match["text"]) for match in BLOCK.finditer(text)]
    return [(kind, re.sub(r" +# .*$", "", text, flags=re.MULTILINE)) for kind, text in found]


def codes(page: Path, *, columns: int) -> list[str]:
    """Return what stands in the first columns of tables and is code: steps, fields, values."""
    plain = BLOCK.sub("", page.read_text(encoding="utf-8"))
    rows = [line.split(" | ")[:columns] for line in plain.splitlines() if line.startswith("| ")]
    return sorted(code for row in rows for code in re.findall(r"`[^`]+`", " ".join(row)))


def short(path: Path) -> str:
    return str(path.relative_to(DOCS))


@pytest.mark.parametrize("page", WITH_OBJECTS, ids=short)
def test_objects_of_a_page_are_valid(page: Path) -> None:
    objects = [yaml.safe_load(text) for text in blocks(page, "yaml")]
    assert objects, "a page without an object shows nobody how"
    for value in objects:
        assert value["kind"] == "ResNetService"
        ResNetServiceSpec.model_validate(value["spec"])


@pytest.mark.parametrize("page", TWINS, ids=short)
def test_chinese_page_has_the_blocks_of_its_twin(page: Path) -> None:
    assert fenced(page) == fenced(TWINS[page])


@pytest.mark.parametrize("page", TWINS, ids=short)
def test_chinese_tables_name_the_same_code(page: Path) -> None:
    columns = 1 if page in README else 2  # the README's second column is prose
    assert codes(page, columns=columns) == codes(TWINS[page], columns=columns)


@pytest.mark.parametrize("page", TWINS, ids=short)
def test_chinese_page_has_as_many_sections(page: Path) -> None:
    heads = [
        re.findall(r"^(#+) ", BLOCK.sub("", one.read_text(encoding="utf-8")), re.MULTILINE)
        for one in (page, TWINS[page])
    ]
    assert heads[0] == heads[1]


@pytest.mark.parametrize("page", TWINS, ids=short)
def test_chinese_page_is_in_chinese(page: Path) -> None:
    """Full-width punctuation, no half-width one between Chinese characters, and no Traditional."""
    plain = BLOCK.sub("", page.read_text(encoding="utf-8"))
    assert len(re.findall(r"[\u4e00-\u9fff]", plain)) > 100
    assert not re.findall(r"[\u4e00-\u9fff][,;:?!](?:\s|[\u4e00-\u9fff])", plain)
    assert not re.findall("[個們這會對應將為網製圖務說請選擇關開啟]", plain)


def test_every_guide_has_its_twin() -> None:
    guides = {path.name for path in (DOCS / "guides").glob("*.md")}
    assert guides == {path.name for path in (ZH / "guides").glob("*.md")}
