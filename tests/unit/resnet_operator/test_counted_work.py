"""How often an object is planned and rendered and its ConfigMaps are read: counted, not timed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.support.builders import NAMESPACE, metadata
from tests.unit.resnet_operator.fake_api import Life
from tests.unit.resnet_operator.test_reconcile import known_artifact

from resnet_operator import names, reconcile
from resnet_operator.reading.packed import PACKER
from resnet_operator.render import engine
from resnet_operator.seen import others
from resnet_operator.seen.others import ConfigMapObject

Work = Counter[str]
# Of a Deployment.
VALUES: dict[str, Any] = {
    "name": "a",
    "namespace": "n",
    "labels": {},
    "annotations": {},
    "owners": [],
    "replicas": 1,
    "strategy": {},
    "selector": {},
    "progress_deadline_seconds": 600,
}


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    """What is done from now on, by its kind; nothing is known of what was done before."""
    found: Work = Counter()

    def counted(module: Any, name: str, label: Any) -> None:
        real = getattr(module, name)

        def count(*args: Any, **kwargs: Any) -> Any:
            found[label(*args) if callable(label) else label] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, count)

    engine._documents.cache_clear()
    engine._marked.cache_clear()
    others._unpacked.cache_clear()
    counted(engine, "_template", lambda template: template)
    counted(reconcile, "make_plan", "plan")
    counted(others, "readable", "read")
    yield found
    engine._documents.cache_clear()
    engine._marked.cache_clear()


async def to_ready(work: Work) -> Life:
    """Bring an object forward while others wait too: its pods first, the rest later."""
    life = Life()
    life.reconciler = replace(life.reconciler, others_wait=lambda: True)
    life.create()
    known_artifact(life)
    work.clear()
    await life.run(5)
    assert life.is_ready, life.status
    return life


def test_each_child_is_rendered_once_until_the_object_is_ready(work: Work) -> None:
    """Though each plan states all of them, and there are several plans."""
    asyncio.run(to_ready(work))
    plans, rendered = work["plan"], {name: n for name, n in work.items() if ".j2" in name}
    assert plans > 1
    assert rendered == {
        "serving-pod.yaml.j2": 1,
        "config.pbtxt.j2": 1,
        "deployment.yaml.j2": 1,
        "service.yaml.j2": 1,
        "store.yaml.j2": 1,
    }


def test_nothing_is_planned_rendered_or_read_at_rest(work: Work) -> None:
    async def rest() -> None:
        life = await to_ready(work)
        life.due = 0.0  # what has just been said is looked at once
        await life.run(3)
        work.clear()
        for _ in range(5):
            life.due = 0.0
            await life.run(1)
        assert life.is_ready

    asyncio.run(rest())
    assert not work, work


def test_what_was_rendered_is_the_callers_own() -> None:
    context = VALUES | {"selector": {"app": "a"}}
    first = engine.render_one("deployment.yaml.j2", **context)
    first["spec"]["selector"]["matchLabels"]["app"] = "another"
    again = engine.render_one("deployment.yaml.j2", **context)
    assert again["spec"]["selector"]["matchLabels"] == {"app": "a"}


CONTEXTS = (
    ("a value", {"replicas": 2}, {"replicas": 3}),
    ("a kind of value", {"replicas": 1}, {"replicas": True}),
    ("a key", {"labels": {"a": "1"}}, {"labels": {"b": "1"}}),
    ("nothing or an empty text", {"name": None}, {"name": ""}),
    ("a list or its text", {"strategy": ["a"]}, {"strategy": '["a"]'}),
    ("what looks like a mark", {"name": f"{engine.MARK}0"}, {"name": f"{engine.MARK}1"}),
)


@pytest.mark.parametrize(("what", "one", "other"), CONTEXTS, ids=[row[0] for row in CONTEXTS])
def test_other_values_are_rendered_again(
    work: Work, what: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    found = [engine.render_one("deployment.yaml.j2", **VALUES | change) for change in (one, other)]
    assert work["deployment.yaml.j2"] == 2, what
    for body, change in zip(found, (one, other), strict=True):
        for key, value in change.items():
            assert value in (body["metadata"].get(key), body["spec"].get(key))


def test_what_json_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        engine.render_one("deployment.yaml.j2", name=object())


def config_map(version: int, **changes: Any) -> dict[str, Any]:
    labels = {names.COMPONENT: names.REVISION_COMPONENT} | changes.pop("labels", {})
    meta = metadata("a-1", version=version) | {"labels": labels} | changes.pop("metadata", {})
    data = {"config.pbtxt": "name: 'a'"}
    return {"metadata": meta, "immutable": True, "data": data} | changes


def seen(body: dict[str, Any]) -> ConfigMapObject:
    return ConfigMapObject.from_body(body)


SIGHTINGS: tuple[tuple[str, dict[str, Any], dict[str, Any], int], ...] = (
    ("only metadata can have changed", {}, {"labels": {"team": "vision"}}, 0),
    ("it was not immutable", {"immutable": False}, {"data": {"config.pbtxt": "other"}}, 1),
    ("it is not immutable", {}, {"immutable": False}, 1),
    ("another one of its name", {}, {"metadata": {"uid": "u2"}, "data": {"x": "y"}}, 1),
    ("its component decides what of it is kept", {}, {"labels": {names.COMPONENT: "artifact"}}, 1),
)


@pytest.mark.parametrize(
    ("why", "first", "second", "reads"), SIGHTINGS, ids=[row[0] for row in SIGHTINGS]
)
def test_immutable_data_is_read_once(
    work: Work, why: str, first: dict[str, Any], second: dict[str, Any], reads: int
) -> None:
    life = Life()
    store = life.views.config_maps
    store.put(config_map(1, **first))
    work.clear()
    body = config_map(2, **second)
    store.put(body)
    assert work["read"] == reads, why
    assert store.one(NAMESPACE, "a-1") == seen(body)


def test_a_list_reads_again_what_may_be_of_another_history(work: Work) -> None:
    store = Life().views.config_maps
    store.put(config_map(5))
    listing = store.listing()
    store.begin(listing, "9")
    work.clear()
    store.show(listing, config_map(8, data={"config.pbtxt": "another"}))
    assert work["read"] == 1


def test_data_is_unpacked_once_and_is_the_callers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    others._unpacked.cache_clear()
    view, unpacked = seen(config_map(1)), Counter[bytes]()
    real = PACKER.unpack

    def unpack(packed: bytes) -> bytes:
        unpacked[packed] += 1
        return real(packed)

    monkeypatch.setattr(PACKER, "unpack", unpack)
    view.data()["config.pbtxt"] = "changed"
    assert view.data() == {"config.pbtxt": "name: 'a'"}
    assert unpacked == {view.packed: 1}
