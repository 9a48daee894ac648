"""What describes the cluster: read from the environment, and refused where it is not whole."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from resnet_operator.settings.operator import Settings, StoreType, by_longest_prefix

IMAGES = {"": "any", "Ascend310": "of 310", "Ascend310P": "of 310P"}


@pytest.mark.parametrize(
    ("chip", "image"),
    [("Ascend310P3", "of 310P"), ("Ascend310B4", "of 310"), ("Ascend910B3", "any")],
)
def test_the_longest_prefix_wins(chip: str, image: str) -> None:
    assert by_longest_prefix(IMAGES, chip) == image


def test_without_a_default_there_is_none() -> None:
    assert by_longest_prefix({"Ascend310P": "of 310P"}, "Ascend910B3") is None


def test_they_come_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_JOBS_IMAGE", "jobs:1")
    monkeypatch.setenv("RESNET_NAMESPACES", '["a","b"]')
    monkeypatch.setenv("RESNET_STORE", json.dumps({"type": "SharedClaim", "claimName": "models"}))
    settings = Settings()
    assert settings.namespaces == ("a", "b")
    assert (settings.store.type, settings.store.claim_name) == (StoreType.SHARED_CLAIM, "models")


REFUSED = [
    ({"RESNET_STORE": '{"type":"S3"}'}, "needs store.s3"),
    (
        {"RESNET_HELPER_PODS": '{"labels":{"app.kubernetes.io/name":"mine"}}'},
        "may not have app.kubernetes.io/name",
    ),
    ({"RESNET_SCRATCH_SIZE": "lots"}, "scratch_size"),
    ({"RESNET_POD_SECURITY": '{"runAsUser":0}'}, "greater than or equal to 1"),
    ({"RESNET_WORKERS": "0"}, "workers"),
]


@pytest.mark.parametrize(("variables", "sentence"), REFUSED)
def test_what_is_not_whole_is_refused_at_the_start(
    variables: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESNET_JOBS_IMAGE", "jobs:1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=sentence):
        Settings()


def test_installations_are_told_apart_by_their_lease() -> None:
    alone = Settings(jobs_image="jobs:1")
    assert alone.installation == ""
    named = alone.model_copy(update={"lease_name": "rns", "lease_namespace": "ops"})
    assert named.installation == "ops/rns"


@pytest.mark.parametrize(
    ("families", "has"), [((), True), (("IPv4",), False), (("IPv4", "IPv6"), True)]
)
def test_ipv6_is_expected_where_nothing_is_said(families: tuple[str, ...], has: bool) -> None:
    settings = Settings(jobs_image="jobs:1", ip_families=families)
    assert settings.has_ipv6 is has
