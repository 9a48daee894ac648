"""ConfigMaps that users name: read once, and again after each change, whatever comes in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import NAMESPACE, metadata

from resnet_operator.errors import Transient
from resnet_operator.watch.references import FEW, References

NAME = (NAMESPACE, "labels")
Body = dict[str, Any]


def config_map(version: int, name: str = "labels", **data: str) -> Body:
    return {"metadata": metadata(name, version=version), "data": data}


@dataclass
class Server:
    """What a LIST answers, how often it was asked, and what happens meanwhile."""

    objects: dict[str, Body] = field(default_factory=dict)
    asked: int = 0
    meanwhile: Callable[[], object] | None = None

    async def list_one(self, *_: str, field_selector: str) -> list[Body]:
        self.asked += 1
        found = self.objects.get(field_selector.removeprefix("metadata.name="))
        await asyncio.sleep(0)
        if self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return [found] if found else []


class Reader:
    def __init__(self, *named: tuple[str, str]) -> None:
        self.server = Server()
        self.named = set(named or (NAME,))
        self.references = References(lambda name: name in self.named)

    async def read(self, name: tuple[str, str] = NAME, what: str = "text") -> str | None:
        def answer(body: Any) -> str | None:
            return body["data"].get(what) if body else None

        kube: Any = self.server
        return await self.references.read(kube, name, what, answer)


def test_it_is_asked_once_for_each_question() -> None:
    async def story() -> None:
        reader = Reader()
        reader.server.objects["labels"] = config_map(1, text="cat", other="dog")
        assert [await reader.read() for _ in range(3)] == ["cat"] * 3
        assert await reader.read(what="other") == "dog"
        assert reader.server.asked == 2

    asyncio.run(story())


def test_what_is_not_there_is_known_too() -> None:
    async def story() -> None:
        reader = Reader()
        assert [await reader.read() for _ in range(3)] == [None] * 3
        assert reader.server.asked == 1
        reader.server.objects["labels"] = config_map(1, text="cat")
        assert reader.references.put(config_map(1)) is not None
        assert await reader.read() == "cat"

    asyncio.run(story())


def test_a_change_while_it_is_read_is_not_lost() -> None:
    """The answer may be of before the change: it is used once, and not kept."""

    async def story() -> None:
        reader = Reader()
        reader.server.objects["labels"] = config_map(1, text="cat")

        def change() -> None:
            reader.server.objects["labels"] = config_map(2, text="dog")
            reader.references.put(config_map(2))

        reader.server.meanwhile = change
        assert await reader.read() == "cat"
        assert await reader.read() == "dog"

    asyncio.run(story())


def test_a_new_watch_forgets_what_it_cannot_vouch_for() -> None:
    async def story() -> None:
        elsewhere = ("others", "labels")
        reader = Reader(NAME, elsewhere)
        for name in (NAME, elsewhere):
            await reader.read(name)
        reader.references.begin(NAMESPACE, 7)
        assert list(reader.references.all()) == [elsewhere]
        assert reader.references.highest == 7
        reader.references.begin(None, 3)
        assert not reader.references.all()
        assert reader.references.highest == 3, "the cluster's history may have gone back"

    asyncio.run(story())


def test_a_failed_read_is_made_again() -> None:
    async def story() -> None:
        reader = Reader()
        reader.server.objects["labels"] = config_map(1, text="cat")

        def fail() -> None:
            raise Transient(0, "the connection was reset")

        reader.server.meanwhile = fail
        with pytest.raises(Transient):
            await reader.read()
        assert await reader.read() == "cat"

    asyncio.run(story())


def test_what_nobody_names_concerns_nobody_and_is_not_kept() -> None:
    async def story() -> None:
        names = [(NAMESPACE, f"labels-{number}") for number in range(FEW)]
        reader = Reader(*names)
        for name in names:
            await reader.read(name)
        assert reader.references.put(config_map(1, "of-others")) is None
        reader.named = {names[0]}
        assert reader.references.remove(config_map(2, "labels-1")) is None
        await reader.read(names[0])
        for number in range(2):
            await reader.read((NAMESPACE, f"more-{number}"))
        assert set(reader.references.all()) == {names[0], (NAMESPACE, "more-1")}

    asyncio.run(story())
