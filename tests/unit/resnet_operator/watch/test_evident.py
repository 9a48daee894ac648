"""After a start: who has news is looked at at once, and who seems to be settled can wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tests.support.builders import ARTIFACT, NAME, NAMESPACE, Body, a_settings
from tests.unit.resnet_operator.fake_api import Life
from tests.unit.resnet_operator.test_reconcile import known_artifact

from resnet_operator import names
from resnet_operator.api import KIND
from resnet_operator.seen.service import ServiceObject
from resnet_operator.watch import evident as module
from resnet_operator.watch.evident import CLAIMS, in_order, is_evident
from resnet_operator.watch.views import Views

Act = Callable[[Life], object]


def settled() -> Life:
    life = Life()
    life.create({"serving": {"replicas": 2}})
    known_artifact(life)
    asyncio.run(life.run(1))
    assert life.is_ready
    life.api.remove(KIND, "another")  # it has vouched for the record, and is not settled itself
    return life


def edit(kind: str, change: Callable[[Body], object], name: str = NAME) -> Act:
    return lambda life: life.api.edit(kind, name, change)


def edit_own(component: str, change: Callable[[Body], object]) -> Act:
    return lambda life: life.api.edit("ConfigMap", life.one("ConfigMap", component), change)


def remove_own(component: str) -> Act:
    return lambda life: life.api.remove("ConfigMap", life.one("ConfigMap", component))


def status(**changes: object) -> Act:
    return edit("Deployment", lambda body: body["status"].update(changes))


def job(component: str) -> Act:
    """Return what puts a Job of the object's artifact there."""

    def act(life: Life) -> None:
        view = life.views.services.one(NAMESPACE, NAME)
        assert view is not None
        assert view.resolved is not None
        labels = names.labels(component, **{names.ARTIFACT: view.resolved.source_key})
        meta = {"name": f"{component}-1", "namespace": NAMESPACE, "labels": labels}
        life.api.put({"kind": "Job", "apiVersion": "batch/v1", "metadata": meta, "spec": {}})

    return act


def beside(life: Life) -> None:
    """Put a Deployment of a revision that is analysed beside the object's own."""
    body = life.api.objects["Deployment", NAME]
    labels = names.labels(names.CANARY, **{names.INSTANCE: NAME})
    meta = {"name": "beside", "namespace": NAMESPACE, "labels": labels}
    life.api.put(body | {"metadata": meta})


def annotate(body: Body, **annotations: str) -> None:
    body["metadata"].setdefault("annotations", {}).update(annotations)


@dataclass(frozen=True)
class News:
    reason: str
    act: Act
    # The claim that it breaks.
    breaks: str


READABLE, STAYS, NO_RETRY, SAYS_READY, PODS, SERVICE, RECORD, REVISION, NO_WORK = CLAIMS

NEWS = (
    News("another spec", edit(KIND, lambda b: b["spec"]["serving"].update(replicas=3)), SAYS_READY),
    News("a refused spec", edit(KIND, lambda b: b["spec"]["model"].update(uri="x")), READABLE),
    News("its end", edit(KIND, lambda b: b["metadata"].update(deletionTimestamp="x")), STAYS),
    News("a retry", edit(KIND, lambda b: annotate(b, **{names.RETRY: "1"})), NO_RETRY),
    News("a status that was taken away", edit(KIND, lambda b: b.update(status={})), SAYS_READY),
    News("the Deployment is gone", lambda life: life.api.remove("Deployment", NAME), PODS),
    News("the Service is gone", lambda life: life.api.remove("Service", NAME), SERVICE),
    News("the record is gone", remove_own(names.RECORD), RECORD),
    News("the revision is gone", remove_own(names.REVISION_COMPONENT), REVISION),
    News(
        "another record in its place",
        edit_own(names.RECORD, lambda b: forge(b["data"], ARTIFACT.sha256)),
        RECORD,
    ),
    News(
        "another revision in its place",
        edit_own(names.REVISION_COMPONENT, lambda b: b["data"].update(more="forged")),
        REVISION,
    ),
    News(
        "fewer pods than asked for",
        edit("Deployment", lambda b: b["spec"].update(replicas=1)),
        PODS,
    ),
    News("a pod that is not ready", status(readyReplicas=1), PODS),
    News("a pod that is not available", status(availableReplicas=1), PODS),
    News("a rollout under way", status(updatedReplicas=1), PODS),
    News("a Deployment that its controller has not seen", status(observedGeneration=0), PODS),
    News(
        "a Deployment of another revision",
        edit(
            "Deployment",
            lambda b: b["spec"]["template"]["metadata"]["labels"].update({names.REVISION: "old"}),
        ),
        PODS,
    ),
    News(
        "a Deployment that somebody else controls",
        edit("Deployment", lambda b: b["metadata"]["ownerReferences"][0].update(uid="other")),
        PODS,
    ),
    News(
        "a Service that somebody else controls",
        edit("Service", lambda b: b["metadata"]["ownerReferences"][0].update(uid="other")),
        SERVICE,
    ),
    News("a conversion", job(names.CONVERSION), NO_WORK),
    News("a validation", job(names.VALIDATION), NO_WORK),
    News("a revision that is analysed", beside, NO_WORK),
)


def forge(data: dict[str, str], text: str) -> None:
    data.update({key: value.replace(text, "00" * 32) for key, value in data.items()})


def listed(life: Life) -> tuple[ServiceObject, Views]:
    """Return the object and all that an operator sees that has just been started."""
    settings = a_settings()
    views = Views(lambda body: ServiceObject.from_body(body, settings=settings))
    for body in life.api.objects.values():
        if store := views.stores.get(body["kind"]):
            store.put(body)
    view = views.services.one(NAMESPACE, NAME)
    assert view is not None
    return view, views


def test_what_is_settled_can_wait() -> None:
    life = settled()
    view, views = listed(life)
    assert is_evident(view, views)
    assert in_order(views) == ([], [(NAMESPACE, NAME)])


@pytest.mark.parametrize("case", NEWS, ids=lambda case: case.reason)
def test_who_has_news_is_looked_at_at_once(case: News) -> None:
    life = settled()
    case.act(life)
    view, views = listed(life)
    assert not CLAIMS[case.breaks](view, views)
    assert in_order(views) == ([(NAMESPACE, NAME)], [])


def test_each_claim_is_broken_by_some_news() -> None:
    assert {case.breaks for case in NEWS} == set(CLAIMS)


def test_an_edited_field_of_a_child_waits_for_a_whole_look() -> None:
    """What only a comparison finds: the order is all that a quick look decides."""
    life = settled()
    life.api.edit("Service", NAME, lambda b: b["spec"].update(selector={"app": "evil"}))
    assert is_evident(*listed(life))


def test_who_names_a_config_map_of_a_user_comes_before_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody tells whether the ConfigMap has changed."""
    life = settled()
    labels = {"configMapKeyRef": {"name": "words", "key": "labels.txt"}}
    body = life.api.objects[KIND, NAME]
    other = body | {
        "metadata": body["metadata"] | {"name": "other", "uid": "uid-other"},
        "spec": body["spec"] | {"model": body["spec"]["model"] | {"classLabels": labels}},
    }
    _, views = listed(life)
    views.services.put(other)
    monkeypatch.setattr(module, "is_evident", lambda *_: True)
    assert in_order(views) == ([], [(NAMESPACE, "other"), (NAMESPACE, NAME)])
