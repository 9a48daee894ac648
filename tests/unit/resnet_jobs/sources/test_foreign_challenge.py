"""A server that is redirected to may not ask for the login of the one that was named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.loopback.webserver import Answer, redirect, serving, status, whole
from tests.support.servers import PASSWORD, USER
from tests.unit.resnet_jobs.conftest import FakeTime
from tests.unit.resnet_jobs.sources.test_oci import Secret, failing, trust

from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import Reason
from resnet_jobs.base.workspace import Workspace

Order = Callable[..., JobSpec]
TOKEN = whole(b'{"token": "a token"}')
# How the second server asks: for Basic, or with a realm at a third one.
CHALLENGES: list[tuple[str, Callable[[str], Answer]]] = [
    ("a realm at a third", lambda realm: status(401, WWW_Authenticate=f'Bearer realm="{realm}/t"')),
    ("the login itself", lambda _: status(401, WWW_Authenticate='Basic realm="here"')),
]


@pytest.mark.parametrize(("how", "challenge"), CHALLENGES, ids=[case[0] for case in CHALLENGES])
def test_only_the_first_origin_is_answered(
    how: str,
    challenge: Callable[[str], Answer],
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret({"username": USER, "password": PASSWORD})
    with (
        serving(TOKEN) as (realm, at_realm),
        serving(challenge(realm)) as (other, at_other),
        serving(redirect([f"{other}/v2/team/one/manifests/v1"])) as (first, at_first),
    ):
        name = first.removeprefix("http://")
        trust(monkeypatch, name)
        error = failing(order(uri=f"oci://{name}/team/one:v1"), workspace, fake_time)
    assert error.reason == Reason.ACCESS_DENIED, how
    assert at_realm == [], "the third server hears nothing"
    asked = [headers for _, headers in (*at_first, *at_other)]
    assert asked
    assert all("authorization" not in {key.lower() for key in headers} for headers in asked), how


def test_a_challenge_of_the_first_origin_is_answered(
    secret: Secret,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the test above would prove nothing."""
    secret({"username": USER, "password": PASSWORD})
    challenge = status(401, WWW_Authenticate='Basic realm="here"')
    with serving(challenge) as (first, seen):
        name = first.removeprefix("http://")
        trust(monkeypatch, name)
        failing(order(uri=f"oci://{name}/team/one:v1"), workspace, fake_time)
    sent = [{key.lower(): value for key, value in headers.items()} for _, headers in seen]
    assert any(headers.get("authorization", "").startswith("Basic ") for headers in sent)
