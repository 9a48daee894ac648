"""`report`: one page, whatever was measured, and nothing from elsewhere."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import NAME, Body, Recorded

from resnet_cli.commands.report import report
from resnet_cli.exits import CliError, Exit
from resnet_cli.reporting.page import Sources
from resnet_cli.reporting.page import page as whole_page
from resnet_cli.show import Screen

MEASURED: Body = {
    "result": "Passed",
    "samples": 10000,
    "top1": "0.7901",
    "throughput": {"1": 900, "24": 18210, "8": 6000},
    "latency": {"p99Milliseconds": "7.1"},
}


def service(validation: Body) -> Body:
    spec = {"validation": {"thresholds": {"minTop1": "0.78 <b>"}}}
    return c.service("Ready", "serving", ready="True", spec=spec, status={"validation": validation})


def page(body: Body) -> str:
    return whole_page(Sources(service=body))


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for key, value in attrs if key in {"src", "href"}]
        if tag not in {"meta", "rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"meta", "rect"}:
            assert self.open.pop() == tag


def test_it_is_one_whole_page_without_outside_parts() -> None:
    text = page(service(MEASURED))
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.links == []
    assert "0.78 &lt;b&gt;" in text
    for number in ("0.7901", "10000", "7.1"):
        assert number in text


def test_bars_stand_in_the_order_of_batches() -> None:
    found = re.findall(r'<text x="0" y="\d+">(\d+)</text>', page(service(MEASURED)))
    assert found == ["1", "8", "24"]
    widths = re.findall(r'<rect x="60" y="\d+" width="(\d+)"', page(service(MEASURED)))
    assert widths == ["24", "158", "480"]


def test_a_verdict_without_numbers_has_a_page_too() -> None:
    assert "Failed" in page(service({"result": "Failed"}))


def test_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    it = Recorded([service(MEASURED)])
    assert report(it, Screen(file=io.StringIO()), name=NAME, file=file) is Exit.DONE
    assert file.read_text().startswith("<!DOCTYPE html>")


def test_nothing_measured_is_said(tmp_path: Path) -> None:
    it = Recorded([c.service("Ready", "serving", ready="True")])
    with pytest.raises(CliError, match="nothing was measured") as caught:
        report(it, Screen(file=io.StringIO()), name=NAME, file=tmp_path / "r.html")
    assert caught.value.exit_code is Exit.NOT_FOUND
