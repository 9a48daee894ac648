"""A hub's repository without a path: which file is meant, at which commit, and what lies beside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from tests.support.loopback.hubs import COMMIT, NEXT_COMMIT, TOKEN, Hub, hub_serving
from tests.unit.resnet_jobs.conftest import FakeTime
from tests.unit.resnet_jobs.publisher.test_publisher import CONVNEXT, MEAN, RESNET_50, TIMM
from tests.unit.resnet_jobs.sources.test_hub import ENDPOINTS, KINDS, TOKENS

from resnet_contract.address import parse_source
from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.commands.fetch import fetch
from resnet_jobs.hub.choice import choose
from resnet_jobs.hub.listing import Snapshot
from resnet_jobs.publisher.handover import read_facts

Order = Callable[..., JobSpec]
both = pytest.mark.parametrize("scheme", list(KINDS))
PYTORCH: dict[str, Any] = {
    "format": "PyTorch",
    "pytorch": {"architecture": "resnet50", "classes": 1000},
}
FILES = ("config.json", "README.md")

CHOSEN: list[tuple[str, str, list[str], str]] = [
    ("timm's", "PyTorch", ["model.safetensors", "pytorch_model.bin", *FILES], "model.safetensors"),
    ("a pickle alone", "PyTorch", ["pytorch_model.bin", *FILES], "pytorch_model.bin"),
    (
        "microsoft/resnet-50",
        "PyTorch",
        ["flax_model.msgpack", "model.safetensors", "pytorch_model.bin", "tf_model.h5", *FILES],
        "model.safetensors",
    ),
    ("one with a name of its own", "PyTorch", ["resnet50_cifar.pth", *FILES], "resnet50_cifar.pth"),
    ("the usual one of several", "PyTorch", ["model.safetensors", "model.fp16.safetensors"],
     "model.safetensors"),
    ("what trainers leave is none", "PyTorch",
     ["training_args.bin", "optimizer.bin", "rng_state.pth", "best.pth"], "best.pth"),
    ("weights of checkpoints count less", "PyTorch",
     ["checkpoint-10/model.safetensors", "model.safetensors"], "model.safetensors"),
    ("in a folder", "PyTorch", ["weights/a.safetensors"], "weights/a.safetensors"),
    ("upper case", "PyTorch", ["RESNET.SAFETENSORS"], "RESNET.SAFETENSORS"),
    ("whole weights beside parts of them", "PyTorch",
     ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
      "model.safetensors.index.json", "pytorch_model.bin"], "pytorch_model.bin"),
    ("an ONNX of transformers.js", "ONNX",
     ["onnx/model.onnx", "onnx/model_fp16.onnx", "onnx/model_quantized.onnx"], "onnx/model.onnx"),
    ("an ONNX with weights beside it", "ONNX", ["model.onnx", "model.onnx_data"], "model.onnx"),
    ("an OM", "OM", ["resnet50.om", *FILES], "resnet50.om"),
    ("TorchScript", "TorchScript", ["model.pt", *FILES], "model.pt"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "wanted", "files", "want"), CHOSEN, ids=[row[0] for row in CHOSEN]
)
def test_the_file_that_is_meant(reason: str, wanted: str, files: list[str], want: str) -> None:
    source = parse_source("hf://org/net")
    for order in (files, files[::-1]):
        assert choose(source, Snapshot(COMMIT, tuple(order)), wanted=wanted) == want, reason


UNCLEAR: list[tuple[str, str, list[str], Reason, str]] = [
    ("two", "PyTorch", ["a.safetensors", "b.safetensors"], Reason.INVALID_SPEC,
     "(a.safetensors, b.safetensors): write the one that is meant, hf://org/net/a.safetensors"),
    ("very many", "ONNX", [f"{n}.onnx" for n in range(9)], Reason.INVALID_SPEC, "and 4 more"),
    ("two of the usual name", "PyTorch", ["a/model.safetensors", "b/model.safetensors"],
     Reason.INVALID_SPEC, "a/model.safetensors, b/model.safetensors"),
    ("parts", "PyTorch",
     ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
      "model.safetensors.index.json"], Reason.UNSUPPORTED_MODEL,
     "keeps its weights in 2 parts (model-00001-of-00002.safetensors"),
    ("parts of a pickle", "PyTorch",
     ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"],
     Reason.UNSUPPORTED_MODEL, "max_shard_size"),
    ("another format", "PyTorch", ["model.onnx", *FILES], Reason.INVALID_SPEC,
     "has no file of format PyTorch, but model.onnx: write spec.model.format: ONNX"),
    ("weights for an ONNX", "ONNX", ["model.safetensors"], Reason.INVALID_SPEC,
     "write spec.model.format: PyTorch"),
    ("TensorFlow", "PyTorch", ["tf_model.h5", *FILES], Reason.UNSUPPORTED_MODEL,
     "holds weights of TensorFlow only"),
    ("a language model", "PyTorch", ["q4.gguf"], Reason.UNSUPPORTED_MODEL, "a language model"),
    ("nothing of the kind", "PyTorch", [*FILES], Reason.MODEL_NOT_FOUND,
     "has no model (.safetensors, .bin, .pth, .pt) at revision main; it has config.json, README"),
    ("nothing at all", "ONNX", [], Reason.MODEL_NOT_FOUND, "it has nothing"),
    ("only what trainers leave", "PyTorch", ["training_args.bin"], Reason.MODEL_NOT_FOUND,
     "it has training_args.bin"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "wanted", "files", "kind", "want"), UNCLEAR, ids=[row[0] for row in UNCLEAR]
)
def test_what_is_unclear_is_said(
    reason: str, wanted: str, files: list[str], kind: Reason, want: str
) -> None:
    with pytest.raises(JobError) as caught:
        choose(parse_source("hf://org/net"), Snapshot(COMMIT, tuple(files)), wanted=wanted)
    assert (caught.value.reason, want in caught.value.message) == (kind, True), (
        f"{reason}: {caught.value.message}"
    )


@pytest.fixture
def hub(scheme: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_serving(KINDS[scheme]) as running:
        running.files = {
            ("timm/resnet50.a1_in1k", "model.safetensors"): b"weights" * 999,
            ("timm/resnet50.a1_in1k", "pytorch_model.bin"): b"pickle" * 999,
            ("timm/resnet50.a1_in1k", "config.json"): json.dumps(TIMM).encode(),
            ("microsoft/resnet-50", "model.safetensors"): b"other" * 999,
            ("microsoft/resnet-50", "config.json"): json.dumps(RESNET_50).encode(),
            ("microsoft/resnet-50", "preprocessor_config.json"): json.dumps(CONVNEXT).encode(),
            ("org/onnx", "onnx/model.onnx"): b"\x08\x08" * 999,
            ("org/onnx", "config.json"): json.dumps(RESNET_50).encode(),
        }
        monkeypatch.setenv(ENDPOINTS[scheme], running.url)
        yield running


@both
def test_weights_are_found_with_their_commit(
    scheme: str, hub: Hub, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    spec = order(uri=f"{scheme}://timm/resnet50.a1_in1k", **PYTORCH)
    told = fetch(spec, workspace, clock=fake_time.clock)
    assert (told["file"], told["revision"]) == ("model.safetensors", COMMIT)
    assert workspace.fetched.read_bytes() == b"weights" * 999
    facts, notes = read_facts(workspace.publisher)
    assert (facts.source, facts.input_size, facts.mean, notes) == (
        "config.json",
        (224, 224),
        MEAN,
        [],
    )
    assert all("pytorch_model.bin" not in path for path, _ in hub.seen), "one file is enough"


@both
def test_both_files_of_transformers_are_read(
    scheme: str, hub: Hub, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    spec = order(uri=f"{scheme}://microsoft/resnet-50", **PYTORCH)
    fetch(spec, workspace, clock=fake_time.clock)
    facts, _ = read_facts(workspace.publisher)
    assert facts.labels == ("tench, Tinca tinca", "goldfish", "great white shark")
    assert (facts.crop_pct, facts.interpolation) == (0.875, "Bicubic")
    assert facts.source == (
        "config.json: labels; preprocessor_config.json: inputSize, mean, std, crop, interpolation"
    )


@both
def test_facts_come_with_a_named_file_too(
    scheme: str, hub: Hub, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    """Beside it or, as here, at the top of the repository."""
    fetch(order(uri=f"{scheme}://org/onnx/onnx/model.onnx"), workspace, clock=fake_time.clock)
    assert len(read_facts(workspace.publisher)[0].labels) == 3
    spec = order(uri=f"{scheme}://org/onnx/onnx/model.onnx@{COMMIT}")
    fetch(spec, workspace, clock=fake_time.clock)
    assert len(read_facts(workspace.publisher)[0].labels) == 3, "at a commit without a list"


@both
@pytest.mark.parametrize("path", ["", "/model.safetensors"])
def test_a_push_in_between_mixes_nothing(
    scheme: str,
    path: str,
    hub: Hub,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Weights, labels and scale are those of the commit that the branch had at first."""
    changed = {
        ("timm/resnet50.a1_in1k", "model.safetensors"): b"later" * 999,
        ("timm/resnet50.a1_in1k", "config.json"): json.dumps(TIMM | RESNET_50).encode(),
    }
    from resnet_jobs.hub import model
    from resnet_jobs.hub.listing import find_snapshot

    def then_push(*arguments: Any, **options: Any) -> Any:
        found = find_snapshot(*arguments, **options)
        if hub.commit == COMMIT:
            hub.push(changed)
        return found

    monkeypatch.setattr(model, "find_snapshot", then_push)
    spec = order(uri=f"{scheme}://timm/resnet50.a1_in1k{path}", **PYTORCH)
    told = fetch(spec, workspace, clock=fake_time.clock)
    assert (told["revision"], hub.commit) == (COMMIT, NEXT_COMMIT)
    assert workspace.fetched.read_bytes() == b"weights" * 999
    assert read_facts(workspace.publisher)[0].labels == ()
    again = fetch(spec, workspace, clock=fake_time.clock)
    assert (again["revision"], again["sha256"] == told["sha256"]) == (NEXT_COMMIT, False)
    assert len(read_facts(workspace.publisher)[0].labels) == 3
    old = order(uri=f"{scheme}://timm/resnet50.a1_in1k/model.safetensors@{COMMIT}", **PYTORCH)
    assert fetch(old, workspace, clock=fake_time.clock)["sha256"] == told["sha256"]


@both
def test_a_mirror_without_lists_gives_named_files(
    scheme: str, hub: Hub, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    hub.has_listings = False
    named = order(uri=f"{scheme}://timm/resnet50.a1_in1k/model.safetensors", **PYTORCH)
    told = fetch(named, workspace, clock=fake_time.clock)
    assert "revision" not in told, "it is not known"
    assert read_facts(workspace.publisher)[0].mean == MEAN
    with pytest.raises(JobError) as caught:
        fetch(
            order(uri=f"{scheme}://timm/resnet50.a1_in1k", **PYTORCH),
            workspace,
            clock=fake_time.clock,
        )
    assert caught.value.reason == Reason.MODEL_NOT_FOUND


REFUSED: list[tuple[str, str, str, str | None, Reason, str]] = [
    ("a private repository", "hf", "org/private", None, Reason.ACCESS_DENIED,
     "org/private is private or does not exist (HTTP 401)"),
    ("the same at ModelScope", "modelscope", "org/private", None, Reason.ACCESS_DENIED,
     "put a MODELSCOPE_API_TOKEN that may read it"),
    ("terms that nobody accepted", "hf", "org/gated", None, Reason.ACCESS_DENIED,
     "org/gated is gated: accept its terms on the hub, and put the HF_TOKEN of that account"),
    ("terms that another account accepted", "hf", "org/gated", TOKEN, Reason.ACCESS_DENIED,
     "the account of HF_TOKEN may not read it: accept its terms on the hub with that account"),
    ("a wrong token", "hf", "org/gated", "old", Reason.ACCESS_DENIED,
     "the hub does not accept HF_TOKEN"),
    ("no such revision", "hf", "timm/resnet50.a1_in1k@v9", None, Reason.MODEL_NOT_FOUND,
     "timm/resnet50.a1_in1k has no revision v9"),
    ("none at ModelScope, which says it with HTTP 200", "modelscope", "timm/resnet50.a1_in1k@v9",
     None, Reason.MODEL_NOT_FOUND, "timm/resnet50.a1_in1k has no revision v9"),
    ("no such repository", "hf", "org/none", TOKEN, Reason.MODEL_NOT_FOUND,
     "there is no repository org/none"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "scheme", "place", "token", "kind", "want"), REFUSED, ids=[r[0] for r in REFUSED]
)
def test_refused(
    reason: str,
    scheme: str,
    place: str,
    token: str | None,
    kind: Reason,
    want: str,
    hub: Hub,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    secret: Callable[[Mapping[str, str]], None],
) -> None:
    for name in ("org/private", "org/gated"):
        hub.files[name, "model.safetensors"] = b"secret" * 999
    hub.private.add("org/private")
    hub.gated.add("org/gated")
    hub.unwelcome.add("org/gated")
    if token:
        secret({TOKENS[scheme]: token})
    with pytest.raises(JobError) as caught:
        fetch(order(uri=f"{scheme}://{place}", **PYTORCH), workspace, clock=fake_time.clock)
    assert caught.value.reason == kind, f"{reason}: {caught.value.message}"
    assert want in caught.value.message
    assert fake_time.naps == [], "asking again would not help"


STRANGE: list[tuple[str, list[Any], str]] = [
    ("a way out", ["../../etc/passwd", "a/../../b.safetensors", "ok.safetensors"], "ok"),
    ("no text", [None, 5, {"a": 1}, "ok.safetensors"], "ok"),
    ("two lines", ["a\nb.safetensors", "ok.safetensors"], "ok"),
    ("a very long one", ["a" * 600 + ".safetensors", "ok.safetensors"], "ok"),
    ("an absolute one", ["/model.safetensors", "ok.safetensors"], "ok"),
]


@pytest.mark.parametrize(("reason", "names", "want"), STRANGE, ids=[row[0] for row in STRANGE])
def test_names_of_strangers(reason: str, names: list[Any], want: str) -> None:
    from resnet_jobs.hub.listing import _of_hugging_face

    found = _of_hugging_face({"sha": COMMIT, "siblings": [{"rfilename": n} for n in names]})
    assert found is not None
    assert found.files == (f"{want}.safetensors",), reason


@both
def test_labels_that_are_none_are_left_out_and_noted(
    scheme: str, hub: Hub, order: Order, workspace: Workspace, fake_time: FakeTime
) -> None:
    hub.files["org/onnx", "config.json"] = b'{"id2label": {"5": "a"}, "image_size": 1e99}'
    fetch(order(uri=f"{scheme}://org/onnx/onnx/model.onnx"), workspace, clock=fake_time.clock)
    facts, notes = read_facts(workspace.publisher)
    assert facts.is_empty
    assert [note.split(" (")[0] for note in notes] == [
        "config.json: ignored labels",
        "config.json: ignored inputSize",
    ]


def test_facts_that_another_container_wrote_are_checked(workspace: Workspace) -> None:
    workspace.publisher.parent.mkdir(parents=True)
    for text in ("", "[]", '{"facts": 5}', '{"facts": {"labels": 5}, "notes": []}', "[" * 99999):
        workspace.publisher.write_text(text)
        facts, notes = read_facts(workspace.publisher)
        assert facts.is_empty
        assert len(notes) == 1
    workspace.publisher.unlink()
    workspace.publisher.symlink_to("/etc/hostname")
    assert read_facts(workspace.publisher)[1] != []
