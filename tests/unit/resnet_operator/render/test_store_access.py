"""Which container may reach the store, and with what: keys of a bucket go to few."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.builders import a_meta, a_settings, an_artifact, resolved

from resnet_operator.record.in_use import MOST, MOST_VOUCHED, Named, keep_list, named_by, vouched
from resnet_operator.render.conversion import job
from resnet_operator.render.serving import pod_template
from resnet_operator.render.store import store_children, store_digest, store_order
from resnet_operator.render.validation import validation_job
from resnet_operator.settings.operator import Settings

S3 = {"endpoint": "https://s3.example.com", "bucket": "artifacts", "secretName": "keys"}
GATE = {
    "validation": {
        "dataset": {"uri": "pvc://data/x.tar", "format": "ImageFolder"},
        "thresholds": {"minTop1": "0.5"},
    }
}


def bucket(**changes: Any) -> Settings:
    return a_settings(store={"type": "S3", "s3": S3 | changes})


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    spec = pod["spec"]
    return {c["name"]: c for c in [*spec["initContainers"], *spec["containers"]]}


def with_mount(pod: dict[str, Any], name: str) -> set[str]:
    return {
        container["name"]
        for container in containers(pod).values()
        if any(mount["name"] == name for mount in container["volumeMounts"])
    }


def a_job(settings: Settings, **facts: Any) -> dict[str, Any]:
    return job(
        service=a_meta(),
        resolved=resolved(settings=settings),
        record=a_meta("record"),
        attempt=1,
        settings=settings,
        **facts,
    )


def a_template(settings: Settings) -> dict[str, Any]:
    return pod_template(
        service=a_meta(),
        resolved=resolved(settings=settings),
        artifact=an_artifact(),
        revision="resnet50-0123456789",
        classes=None,
        settings=settings,
    )


def a_gate(settings: Settings) -> dict[str, Any]:
    template: dict[str, Any] = validation_job(
        resolved=resolved(GATE, settings=settings),
        artifact=an_artifact(),
        record=a_meta("record"),
        validation="ab" * 8,
        attempt=1,
        template=json.dumps(a_template(settings)),
        settings=settings,
    )["spec"]["template"]
    return template


def test_the_keys_of_a_bucket_go_to_containers_of_our_own_image_alone() -> None:
    settings = bucket(caBundleConfigMap="ca")
    pod = a_job(settings)["spec"]["template"]
    for name in ("store-credentials", "store-ca"):
        assert with_mount(pod, name) == {"prepare", "publish"}, name
        assert with_mount(a_template(settings), name) == {"artifact"}, name


def test_a_shared_claim_is_seen_by_our_own_image_alone() -> None:
    settings = a_settings(store={"type": "SharedClaim", "claimName": "shared"})
    assert with_mount(a_job(settings)["spec"]["template"], "store") == {"prepare", "publish"}
    assert with_mount(a_template(settings), "blobs") == {"artifact"}


@pytest.mark.parametrize("kind", ["Server", "SharedClaim", "S3"])
def test_the_stores_key_goes_to_who_signs_and_who_looks(kind: str) -> None:
    settings = a_settings(store={"type": kind, "claimName": "shared", "s3": S3})
    pod = a_job(settings)["spec"]["template"]
    assert with_mount(pod, "store-key") == {"prepare", "publish"}
    (volume,) = [v for v in pod["spec"]["volumes"] if v["name"] == "store-key"]
    assert [item["key"] for item in volume["secret"]["items"]] == ["key", "password"]
    assert with_mount(a_template(settings), "store-key") == set(), "pods that run need none"


def test_the_gate_and_the_store_get_no_more_of_the_secret_than_they_need() -> None:
    job_pod = a_gate(a_settings())
    assert with_mount(job_pod, "store-key") == {"evaluate"}
    (volume,) = [v for v in job_pod["spec"]["volumes"] if v["name"] == "store-key"]
    assert [item["key"] for item in volume["secret"]["items"]] == ["password"]
    store = store_children("models", a_settings())[-1]["spec"]["template"]["spec"]
    (volume,) = [v for v in store["volumes"] if "secret" in v]
    assert [item["key"] for item in volume["secret"]["items"]] == ["htpasswd"]


def test_a_job_is_told_what_the_operator_vouches_for() -> None:
    names = {"a" * 64: "b" * 64}
    pod = a_job(a_settings(), vouched=names)["spec"]["template"]
    told = {
        name: [json.loads(e["value"]) for e in c["env"] if e["name"] == "RESNET_VOUCHED"]
        for name, c in containers(pod).items()
    }
    assert {name for name, values in told.items() if values} == {"prepare", "publish"}
    assert told["publish"] == [names]


STATUSES: list[tuple[str, Any]] = [
    ("no status", {}),
    ("no artifact", {"artifact": None}),
    ("no digest", {"artifact": {"contentKey": "a" * 64}}),
    ("a short key", {"artifact": {"contentKey": "a", "sha256": "b" * 64}}),
    ("a number", {"artifact": {"contentKey": 5, "sha256": "b" * 64}}),
    ("an end of line", {"artifact": {"contentKey": "a" * 64 + "\n", "sha256": "b" * 64}}),
]


@pytest.mark.parametrize(("why", "status"), STATUSES, ids=[row[0] for row in STATUSES])
def test_what_is_no_digest_is_not_vouched_for(why: str, status: Any) -> None:
    good = {"artifact": {"contentKey": "c" * 64, "sha256": "d" * 64}}
    assert vouched([status, good]) == {"c" * 64: "d" * 64}, why


def test_no_more_is_vouched_for_than_a_variable_holds() -> None:
    many = [
        {"artifact": {"contentKey": f"{n:064x}", "sha256": "d" * 64}}
        for n in range(2 * MOST_VOUCHED)
    ]
    assert len(vouched(many)) == MOST_VOUCHED
    assert len(json.dumps(vouched(many))) < 100_000


@pytest.mark.parametrize(
    ("store", "name"),
    [
        ({"type": "SharedClaim", "claimName": "shared"}, "store"),
        ({"type": "S3", "s3": S3}, "store-credentials"),
    ],
    ids=["claim", "bucket"],
)
def test_the_gates_evaluator_reaches_the_store(store: dict[str, Any], name: str) -> None:
    pod = a_gate(a_settings(store=store))
    assert "evaluate" in with_mount(pod, name)
    assert "prepare" not in with_mount(pod, name)
    volumes = [volume["name"] for volume in pod["spec"]["volumes"]]
    assert len(volumes) == len(set(volumes)), "the serving pod has the bucket's keys as well"


@pytest.mark.parametrize(
    ("prefix", "want"),
    [("", "models"), ("resnet", "resnet/models"), ("/a/b/", "a/b/models")],
)
def test_each_namespace_has_its_own_part_of_the_bucket(prefix: str, want: str) -> None:
    order = store_order("models", bucket(prefix=prefix))
    assert order == {
        "type": "S3",
        "endpoint": "https://s3.example.com",
        "bucket": "artifacts",
        "prefix": want,
    }


@pytest.mark.parametrize(
    ("reason", "store"),
    [
        ("no bucket is described", {"type": "S3"}),
        ("no keys", {"type": "S3", "s3": {k: S3[k] for k in ("endpoint", "bucket")}}),
        ("an endpoint with a path", {"type": "S3", "s3": S3 | {"endpoint": "https://x/y"}}),
        ("an endpoint without a scheme", {"type": "S3", "s3": S3 | {"endpoint": "x:9000"}}),
        ("no days at all", {"keepUnusedDays": 0}),
    ],
)
def test_settings_that_cannot_work_stop_the_operator(reason: str, store: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_settings(store=store)


def test_how_long_unused_artifacts_are_kept_restarts_no_store() -> None:
    digests = {store_digest(a_settings(store={"keepUnusedDays": days})) for days in (7, 30, None)}
    assert len(digests) == 1


def test_what_the_store_is_made_of_is_brought_up_to_date() -> None:
    changes: list[dict[str, Any]] = [{}, {"image": "nginx:2"}, {"size": "1Ti"}]
    changes.append({"storageClassName": "fast"})
    digests = {store_digest(a_settings(store=store)) for store in changes}
    assert len(digests) == len(changes)


# What a Job's sweep must not remove.


def keep(settings: Settings, *named: Named) -> Any:
    env = containers(a_job(settings, in_use=named)["spec"]["template"])["publish"]["env"]
    texts = [item["value"] for item in env if item["name"] == "RESNET_KEEP"]
    return json.loads(texts[0]) if texts else None


def test_the_job_is_told_what_is_in_use() -> None:
    used = (Named("cd" * 32, "ab" * 32), Named("", "12" * 32), Named())
    assert keep(a_settings(), *used) == {
        "days": 7,
        "keys": ["cdcdcdcdcdcd"],
        "blobs": ["121212121212", "abababababab"],
    }


def test_without_a_list_nothing_may_be_removed() -> None:
    assert keep(a_settings(store={"keepUnusedDays": None}), Named("a" * 64)) is None
    assert keep_list(None, days=7) is None, "nobody has looked"
    many = [Named(f"{number:064x}"[::-1]) for number in range(MOST + 1)]
    assert keep_list(many, days=7) is None, "no room in an environment variable"
    assert len(keep_list(many[:MOST], days=7) or "") < 100_000


@pytest.mark.parametrize("kind", ["Server", "SharedClaim", "S3"])
def test_a_revision_names_its_artifact(kind: str) -> None:
    store = {"type": kind, "claimName": "shared", "s3": S3}
    template = a_template(a_settings(store=store))
    text = json.dumps(template, separators=(",", ":"), sort_keys=True)
    assert named_by({"config.pbtxt": "", "pod-template.json": text}) == Named(
        sha256=an_artifact().sha256
    )


def test_a_record_names_key_and_digest() -> None:
    artifact = an_artifact()
    assert named_by(artifact.to_record()) == Named(artifact.content_key, artifact.sha256)
    assert named_by({}) == Named()


def test_a_record_of_a_later_version_keeps_its_files() -> None:
    """What this version cannot read whole may be read again after the next upgrade."""
    artifact = an_artifact()
    record = artifact.to_record()
    text = json.dumps(json.loads(record["artifact.json"]) | {"size_bytes": {"om": 1}, "inputs": 2})
    assert named_by({"artifact.json": text}) == Named(artifact.content_key, artifact.sha256)
    assert named_by({"artifact.json": "[" * 9}) == Named()
