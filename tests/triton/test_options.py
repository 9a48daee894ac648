"""What `serving.tls`, `tracing`, `extraArgs` and `configOverrides` ask of a real Triton."""

from __future__ import annotations

import re
import shutil
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tests.support.apiserver import eventually
from tests.support.builders import resolved
from tests.support.otlp import Span, collector
from tests.support.servers import Certificate, make_certificate
from tests.triton.server import Model, digits_on_cpu, pod

from resnet_operator.render.pods import parts as pod_parts
from resnet_operator.render.triton.command import TRITON_COMMAND, triton_command
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


def added(serving: dict[str, Any]) -> tuple[str, ...]:
    """Return the flags that an object's serving adds to every Triton's."""
    return triton_command(resolved({"serving": serving}))[len(TRITON_COMMAND) :]


CACHE = "response_cache { enable: true }"


def test_a_response_cache_answers_the_second_time(tmp_path: Path) -> None:
    """Without the flag that the override brings, Triton would leave it off without a word."""
    model = Overridden(**vars(digits_on_cpu()), overrides=CACHE)
    with pod(tmp_path, model, *added({"configOverrides": CACHE})) as running:
        running.wait_ready()
        with tritonclient.http.InferenceServerClient(running.http) as http:
            first, second = (infer(tritonclient.http, http) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        with urllib.request.urlopen(f"http://{running.metrics}/metrics") as answer:
            lines = answer.read().decode().splitlines()
    (hits,) = [line for line in lines if line.startswith("nv_cache_num_hits_per_model{")]
    assert hits.endswith(" 1")


LIMITS = 'instance_group { rate_limiter { resources { name: "bus" count: 1 } } }'


def test_a_limit_of_instances_is_kept(tmp_path: Path) -> None:
    """Triton says how it limits when it starts; without the flag it is OFF, whatever is written."""
    model = Overridden(**vars(digits_on_cpu()), overrides=LIMITS)
    with pod(tmp_path, model, *added({"configOverrides": LIMITS})) as running:
        running.wait_ready()
        with tritonclient.http.InferenceServerClient(running.http) as http:
            assert infer(tritonclient.http, http).shape == (1, 10)
        (said,) = re.findall(r"\| rate_limit +\| (\w+)", running.log)
    assert said == "EXEC_COUNT"


def test_quantiles_are_measured(tmp_path: Path) -> None:
    """The alerts on p99 ask for them; the flag is every Triton's."""
    flag = next(flag for flag in TRITON_COMMAND if flag.startswith("--metrics-config="))
    with pod(tmp_path, digits_on_cpu(), flag) as running:
        running.wait_ready()
        with tritonclient.http.InferenceServerClient(running.http) as http:
            infer(tritonclient.http, http)
        with urllib.request.urlopen(f"http://{running.metrics}/metrics") as answer:
            text = answer.read().decode()
    assert 'nv_inference_request_summary_us{model="digits",version="1",quantile="0.99"}' in text


# The spans of one request, each with its parent's name, and what happens in it.
TREE = {
    "InferRequest": ("", {"HTTP_RECV_START", "HTTP_SEND_END"}),
    "digits": ("InferRequest", {"QUEUE_START", "REQUEST_END"}),
    "compute": ("digits", {"COMPUTE_START", "COMPUTE_END"}),
}
REQUESTS = 2


def test_traces_reach_a_collector(tmp_path: Path) -> None:
    """Each request is a trace of its own: whose it is, of which model, and what took how long."""
    spans: list[Span] = []

    def all_came() -> bool:
        spans[:] = receiving.spans()
        return len(spans) >= REQUESTS * len(TREE)

    with collector(tmp_path) as receiving:
        tracing = {"otlpEndpoint": receiving.url, "rate": 1}
        with pod(tmp_path, digits_on_cpu(), *added({"tracing": tracing})) as running:
            running.wait_ready()
            with tritonclient.http.InferenceServerClient(running.http) as client_of_http:
                for _ in range(REQUESTS):
                    infer(tritonclient.http, client_of_http)
            eventually(all_came, what="the spans of both requests", seconds=30)
    assert {span.resource["service.name"] for span in spans} == {"resnet50"}, "whose they are"
    traces = {span.trace for span in spans}
    assert len(traces) == REQUESTS
    for trace in traces:
        found = {span.name: span for span in spans if span.trace == trace}
        assert found.keys() == TREE.keys()
        for name, (parent, events) in TREE.items():
            assert found[name].parent == (found[parent].span if parent else "")
            assert events <= set(found[name].events)
            assert 0 < found[name].nanoseconds <= found["InferRequest"].nanoseconds
        assert found["digits"].attributes["triton.model_name"] == "digits"


def test_allowed_flags_are_known_to_triton(tmp_path: Path) -> None:
    flags = [
        "--log-verbose=1", "--log-info=1", "--log-warning=1", "--log-error=1",
        "--http-thread-count=2", "--buffer-manager-thread-count=1", "--metrics-interval-ms=1000",
        "--grpc-keepalive-time=7200000", "--grpc-keepalive-timeout=20000",
        "--grpc-infer-allocation-pool-size=8", "--grpc-http2-max-pings-without-data=2",
        "--rate-limit=off", "--trace-config=level=OFF", "--cache-config=local,size=1048576",
    ]  # fmt: skip
    with pod(tmp_path, digits_on_cpu(), *added({"extraArgs": flags})) as running:
        running.wait_ready()
        assert running.call("/v2/models/digits/ready") == 200
