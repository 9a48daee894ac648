"""What `serving.tls` and `serving.configOverrides` ask of a real Triton."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tests.support.builders import resolved
from tests.support.servers import Certificate, make_certificate
from tests.triton.server import Model, digits_on_cpu, pod

from resnet_operator.render.pods import parts as pod_parts
from resnet_operator.resolve.config_overrides import check_overrides, merge_overrides

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PICTURE = np.zeros((1, 3, 32, 32), dtype=np.float32)


def infer(library: Any, client: Any) -> Any:
    request = library.InferInput("input", list(PICTURE.shape), "FP32")
    request.set_data_from_numpy(PICTURE)
    return client.infer("digits", [request]).as_numpy("logits")


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certificate]:
    """A Secret's folder, as the pod has it."""
    folder = tmp_path_factory.mktemp("tls")
    made = make_certificate(folder)
    shutil.copy(made.certificate, folder / "tls.crt")
    shutil.copy(made.key, folder / "tls.key")
    assert made.authority == folder / "ca.crt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pod_parts, "TLS_PATH", str(folder))
        yield made


def flags(**tls: Any) -> tuple[str, ...]:
    spec = {"serving": {"tls": {"secretName": "grpc", **tls}}}
    return pod_parts.tls_parts(resolved(spec)).args


def client(address: str, made: Certificate, *, with_own: bool) -> Any:
    return tritonclient.grpc.InferenceServerClient(
        address,
        ssl=True,
        root_certificates=str(made.authority),
        private_key=str(made.key) if with_own else None,
        certificate_chain=str(made.certificate) if with_own else None,
    )


def test_grpc_is_encrypted_and_the_probes_stay(secret: Certificate, tmp_path: Path) -> None:
    with pod(tmp_path, digits_on_cpu(), *flags()) as running:
        running.wait_ready()
        assert running.call("/v2/models/digits/ready") == 200
        with client(running.grpc, secret, with_own=False) as encrypted:
            assert infer(tritonclient.grpc, encrypted).shape == (1, 10)
        with (
            tritonclient.grpc.InferenceServerClient(running.grpc) as plain,
            pytest.raises(Exception, match=r"UNAVAILABLE"),
        ):
            plain.is_server_live()


def test_a_client_without_a_certificate_is_refused(secret: Certificate, tmp_path: Path) -> None:
    with pod(tmp_path, digits_on_cpu(), *flags(clientAuthentication=True)) as running:
        running.wait_ready()
        with client(running.grpc, secret, with_own=True) as known:
            assert infer(tritonclient.grpc, known).shape == (1, 10)
        with (
            client(running.grpc, secret, with_own=False) as unknown,
            pytest.raises(Exception, match=r"UNAVAILABLE"),
        ):
            unknown.is_server_live()


OVERRIDES = """
dynamic_batching {
  preferred_batch_size: [ 4 ]
  max_queue_delay_microseconds: 0
  default_queue_policy { timeout_action: REJECT max_queue_size: 64 }
}
optimization { priority: PRIORITY_MAX }
model_warmup {
  name: "noise" batch_size: 2 count: 0
  inputs { key: "input" value { data_type: TYPE_FP32 dims: [ 3, 32, 32 ] random_data: true } }
}
metric_tags { key: "tier" value: "gold" }
parameters { key: "team" value { string_value: "vision" } }
"""


@dataclass(frozen=True)
class Overridden(Model):
    """A model whose config.pbtxt has overrides."""

    overrides: str = ""

    def lay_out(self, folder: Path) -> None:
        super().lay_out(folder)
        config = folder / self.name / "config.pbtxt"
        check_overrides(self.overrides, max_batch_size=self.max_batch)
        config.write_text(merge_overrides(config.read_text(), self.overrides))


def test_triton_takes_what_is_merged(tmp_path: Path) -> None:
    model = Overridden(**vars(digits_on_cpu()), overrides=OVERRIDES)
    with pod(tmp_path, model) as running:
        running.wait_ready()
        with tritonclient.http.InferenceServerClient(running.http) as http:
            found = http.get_model_config("digits")
            assert infer(tritonclient.http, http).shape == (1, 10)
    batching = found["dynamic_batching"]
    assert batching["preferred_batch_size"] == [4]
    assert batching["max_queue_delay_microseconds"] == 0
    assert batching["default_queue_policy"]["max_queue_size"] == 64
    assert [warmup["name"] for warmup in found["model_warmup"]] == ["noise"]
    assert found["parameters"]["team"]["string_value"] == "vision"
    assert found["metric_tags"] == {"tier": "gold"}
    assert "model_file" in found["parameters"], "ours are still there"
