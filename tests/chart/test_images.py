"""Every image that the chart names: completed, pinned by digest and redirected to a mirror."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from devkit.release.chart import images_in
from tests.chart.conftest import CHART, Chart, Manifest, only
from tests.chart.image_cases import MIRROR, MIRRORED, D
from tests.support import yamls

from resnet_operator import __version__

NAMED: Manifest = {"amct": "amct", "export": "resnet-export"}


def environment(documents: list[Manifest]) -> dict[str, str]:
    [container] = only(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"]}


def of(images: Manifest, rendered: Chart, **values: Any) -> list[str]:
    return images_in(rendered.render({"images": images, **values}))


@pytest.mark.parametrize(("name", "mirror", "expected", "why"), MIRRORED)
def test_mirror(rendered: Chart, name: str, mirror: str, expected: str, why: str) -> None:
    found = environment(rendered.render({"images": {"mirror": mirror, "jobs": name}}))
    assert found["RESNET_JOBS_IMAGE"] == expected, why


def test_one_value_redirects_every_image(rendered: Chart) -> None:
    plain = of(NAMED, rendered)
    redirected = of(NAMED | {"mirror": MIRROR}, rendered)
    assert len(redirected) == len(plain)
    assert {i for i in redirected if not i.startswith(f"{MIRROR}/")} == set()
    for part in ("/ascend/cann:", "/nginxinc/nginx-unprivileged:", "/oneflowinc/oneflow-serving:"):
        assert any(image.startswith(f"{MIRROR}{part}") for image in redirected), part
    for image in plain:
        assert any(other.endswith(image.partition("/")[2] or image) for other in redirected), image


def test_nothing_else_in_the_rendered_chart_names_a_registry(rendered: Chart) -> None:
    """Also not where `images_in` does not look: a key of another name, a command, a script."""
    documents = [
        d
        for d in rendered.render({"images": NAMED | {"mirror": MIRROR}})
        if "Custom" not in d["kind"]
    ]
    assert not re.search(r"(docker|quay|nvcr|ghcr|gcr)\.io/", yamls.write_all(documents))


COMPLETED = [
    # values of images, what becomes of the jobs' image, why
    ({}, f"resnet-jobs:{__version__}", "no registry: the nodes have it under this name"),
    ({"registry": "r.example/t", "tag": "2"}, "r.example/t/resnet-jobs:2", "registry and tag"),
    ({"registry": "r.example/t/", "tag": "2"}, "r.example/t/resnet-jobs:2", "a slash too many"),
    ({"registry": "r.example", "jobs": "other/jobs:1"}, "other/jobs:1", "a tag: as it is"),
    ({"registry": "r.example", "jobs": f"jobs@{D}"}, f"jobs@{D}", "a digest: as it is"),
    ({"tag": "2", "jobs": "r.example/jobs"}, "r.example/jobs:2", "a host alone still needs a tag"),
    (
        {"registry": "r.example", "tag": "2", "jobs": "other.example/jobs"},
        "other.example/jobs:2",
        "a name with a host is in no other registry",
    ),
    (
        {"registry": "r.example:5000", "tag": "2", "mirror": "m.example"},
        "m.example/resnet-jobs:2",
        "the mirror takes the place of the registry's host",
    ),
    (
        {"registry": "r.example/t", "tag": "2", "mirror": "m.example/r.example"},
        "m.example/r.example/t/resnet-jobs:2",
        "and keeps the registry's path",
    ),
]


@pytest.mark.parametrize(("images", "expected", "why"), COMPLETED, ids=[c[2] for c in COMPLETED])
def test_completed(rendered: Chart, images: Manifest, expected: str, why: str) -> None:
    assert environment(rendered.render({"images": images}))["RESNET_JOBS_IMAGE"] == expected, why


PINNED = [
    ({"digests": {"resnet-jobs:2": D}}, f"resnet-jobs:2@{D}", "by name and tag"),
    (
        {"digests": {"resnet-jobs:2": D}, "registry": "r.example", "mirror": MIRROR},
        f"{MIRROR}/resnet-jobs:2@{D}",
        "registry and mirror do not change the key",
    ),
    ({"digests": {"resnet-jobs:1": D}}, "resnet-jobs:2", "the digest of another tag is not used"),
    (
        {"digests": {"q.io/jobs:3": D}, "jobs": "q.io/jobs:3", "mirror": MIRROR},
        f"{MIRROR}/jobs:3@{D}",
        "a name with a host has it in its key",
    ),
    (
        {"digests": {"q.io/jobs": D}, "jobs": f"q.io/jobs@{D.replace('0', '1')}"},
        f"q.io/jobs@{D.replace('0', '1')}",
        "a name with a digest keeps its own",
    ),
]


@pytest.mark.parametrize(("images", "expected", "why"), PINNED, ids=[c[2] for c in PINNED])
def test_pinned(rendered: Chart, images: Manifest, expected: str, why: str) -> None:
    found = environment(rendered.render({"images": images | {"tag": "2"}}))
    assert found["RESNET_JOBS_IMAGE"] == expected, why


def test_every_image_can_be_pinned_and_must_be_when_required(rendered: Chart) -> None:
    digests = dict.fromkeys(of(NAMED, rendered), D)
    pinned = of(NAMED | {"digests": digests, "requireDigests": True, "mirror": MIRROR}, rendered)
    assert pinned
    assert {image for image in pinned if not image.endswith(f"@{D}")} == set()
    for missing in digests:
        some = {name: value for name, value in digests.items() if name != missing}
        values = {"images": NAMED | {"digests": some, "requireDigests": True}}
        assert f"{missing} has no digest" in rendered.refusal(values)


OWN = "r.example/cann:1"
MAPS = [
    # values of images, setting, what becomes of the default, why
    ({"converter": {"": OWN}}, "CONVERTER", lambda d: d | {"": OWN}, "laid over"),
    ({"converter": {"Ascend310P": OWN}}, "CONVERTER", lambda d: d | {"Ascend310P": OWN}, "changed"),
    (
        {"converter": {"": OWN}, "replace": ["converter"]},
        "CONVERTER",
        lambda _: {"": OWN},
        "replaced by one entry",
    ),
    ({"replace": ["converter"]}, "CONVERTER", lambda _: {}, "replaced by nothing"),
    (
        {"converter": {"Ascend310P": None}},
        "CONVERTER",
        lambda d: {k: v for k, v in d.items() if k != "Ascend310P"},
        "null still takes an entry out, as in 0.1.0",
    ),
    (
        {"defaults": {"converter": {"Ascend310P": None}}},
        "CONVERTER",
        lambda d: {k: v for k, v in d.items() if k != "Ascend310P"},
        "and so it does in the chart's own",
    ),
    (
        {"serving": {"ONNXRuntime": OWN}, "replace": ["serving"]},
        "SERVING",
        lambda _: {"ONNXRuntime": OWN},
        "the other map",
    ),
    ({"replace": ["serving"]}, "CONVERTER", lambda d: d, "one map alone is replaced"),
    (
        {"serving": {"TorchAIE": "torch"}, "tag": "2"},
        "SERVING",
        lambda d: {k: v.replace(__version__, "2") for k, v in d.items()} | {"TorchAIE": "torch:2"},
        "entries of a map are completed",
    ),
]


@pytest.mark.parametrize(("images", "name", "change", "why"), MAPS, ids=[m[3] for m in MAPS])
def test_maps(rendered: Chart, images: Manifest, name: str, change: Any, why: str) -> None:
    setting = f"RESNET_{name}_IMAGES"
    default = json.loads(environment(rendered.render())[setting])
    found = json.loads(environment(rendered.render({"images": images}))[setting])
    assert found == change(default), why


def test_maps_by_the_command_line(rendered: Chart) -> None:
    """`--set` writes lists as {a,b}."""
    arguments = ["--set", "images.replace={converter,serving}", "--set", "images.mirror=m.example"]
    text = rendered.server.helm("template", "x", str(CHART), *arguments)
    found = environment(yamls.read_all(text))
    assert found["RESNET_CONVERTER_IMAGES"] == found["RESNET_SERVING_IMAGES"] == "{}"


REFUSED = [
    ({"mirror": "https://m.example"}, "/images/mirror", "a mirror is no URL"),
    ({"mirror": "m.example//a"}, "/images/mirror", "a path has no empty part"),
    ({"mirror": "m.example/a:1"}, "/images/mirror", "a mirror has no tag"),
    ({"mirror": f"m.example/a@{D}"}, "/images/mirror", "nor a digest"),
    ({"mirror": "m.example/Team"}, "/images/mirror", "the path of an image is lower-case"),
    ({"mirror": "me:pw@m.example"}, "/images/mirror", "logins are in pull secrets"),
    ({"digests": {"jobs:1": "0" * 64}}, "/images/digests/jobs:1", "the algorithm is missing"),
    ({"digests": {"jobs:1": "sha256:0"}}, "/images/digests/jobs:1", "too short"),
    ({"digests": {f"jobs@{D}": D}}, "propertyName 'jobs@sha256", "a key has no digest"),
    ({"replace": ["digests"]}, "/images/replace/0", "no such map"),
    ({"replace": "converter"}, "/images/replace", "a list"),
    ({"serving": {"Triton": "x"}}, "/images/serving", "no such runtime"),
    ({"defaults": {"serving": {"Triton": "x"}}}, "/images/defaults/serving", "nor there"),
]


@pytest.mark.parametrize(("images", "part", "why"), REFUSED, ids=[c[2] for c in REFUSED])
def test_refused(rendered: Chart, images: Manifest, part: str, why: str) -> None:
    assert part in rendered.refusal({"images": images}), why
