"""Each state of the table fires its alert once, and nothing else; promtool does the arithmetic."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from monitoring.__main__ import stale_files
from monitoring.alerts import ALERTS
from monitoring.expressions import OF_CONVERSIONS
from monitoring.rules import plain_rules, runbooks
from prometheus_client import Counter, Gauge, Histogram
from tests.support import yamls
from tests.support.apiserver import ROOT
from tests.support.needs import need_program

from resnet_operator.api.reasons import Reason
from resnet_operator.measured.families import Families
from resnet_operator.reading.failed import CANCELED, FAILED, FAILURE, REFUSED
from resnet_operator.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

# promtool takes so many samples into memory and no more.
AT_ONCE_FOR_HOURS = 12
MODELS = 'namespace="models"'
A = f'{MODELS},name="a"'
OPERATOR = 'namespace="resnet-system",job="resnet-operator",pod="o-1",instance="10.0.0.1:8080"'
KINDS = (Counter, Gauge, Histogram)
Series = dict[str, str]


def info(reason: str, phase: str = "Deploying", values: str = "1x1000") -> Series:
    return {f'resnet_service_reason_info{{{A},reason="{reason}",phase="{phase}"}}': values}


def condition(kind: str, status: str, values: str = "1x1000") -> Series:
    return {f'resnet_service_condition{{{A},type="{kind}",status="{status}"}}': values}


def triton(name: str, values: str, more: str = "") -> Series:
    return {f'{name}{{{A},pod="a-1",model="a",version="1"{more}}}': values}


def ours(values: str, pod: str = "a-1") -> Series:
    """What a runtime counts itself; Triton calls these requests successes."""
    return {f'resnet_failed_requests{{{A},pod="{pod}",model="a",instance="0"}}': values}


# An object that serves, its Triton under load, and the operator, for more than six hours.
REST: Series = {
    **info("Ready", "Ready"),
    **condition("Ready", "True"),
    **condition("Available", "True"),
    **condition("ArtifactReady", "True"),
    **condition("ChipsHealthy", "True"),
    f"resnet_service_replicas_wanted{{{A}}}": "2x1000",
    f"resnet_service_retries_total{{{A}}}": "0x1000",
    f"resnet_service_replicas_ready{{{A}}}": "2x1000",
    f'resnet_service_revision_info{{{A},serving="a-1",desired="a-1"}}': "1x1000",
    **triton("nv_inference_request_success", "0+600x1000"),
    **triton("nv_inference_request_failure", "0x1000", ',reason="BACKEND"'),
    **ours("0x1000"),
    **triton("nv_inference_pending_request_count", "0 3 1 0 2 0 4 1x1000"),
    **triton("nv_inference_request_summary_us", "9000x1000", ',quantile="0.99"'),
    'kubelet_volume_stats_available_bytes{namespace="models",'
    'persistentvolumeclaim="resnet-store"}': "50x1000",
    'kubelet_volume_stats_capacity_bytes{namespace="models",'
    'persistentvolumeclaim="resnet-store"}': "100x1000",
    f"resnet_operator_leading{{{OPERATOR}}}": "1x1000",
    f"resnet_operator_contested_namespaces{{{OPERATOR}}}": "0x1000",
    f"resnet_operator_queue_depth{{{OPERATOR}}}": "0 4 0x1000",
    f"resnet_operator_internal_errors_total{{{OPERATOR}}}": "0x1000",
    f'resnet_operator_watch_age_seconds{{{OPERATOR},kind="Pod"}}': "5 30 41 8 39x1000",
}


@dataclass(frozen=True)
class State:
    """A state of the world: what differs from rest, and what is to fire after six hours."""

    reason: str
    alert: str
    changed: Series
    gone: tuple[str, ...] = ()
    minutes: int = 60


def unready(reason: str, *more: Series, phase: str = "Deploying") -> Series:
    """An object that is not Ready for a reason, while its old pods serve."""
    merged: Series = {**info(reason, phase), **condition("Ready", "False")}
    for series in more:
        merged |= series
    return merged


def by(pod: str, series: Series) -> Series:
    """Say which pod of the operator the series are scraped of."""
    return {key.replace("}", f',pod="{pod}"}}'): values for key, values in series.items()}


def with_gap(values: str, begin: int, minutes: int) -> str:
    """Have nobody scrape a series of one number for a while."""
    first, _, rest = values.rpartition(" ")
    number, times = rest.split("x")
    shown = f"{number}x{begin} stale _x{minutes} {number.partition('+')[0]}x{times}"
    return f"{first} {shown}".strip()


NOT_READY = ("reason_info", 'type="Ready"')
STATES = (
    State("no pod serves what has served", "ResNetServiceNotAvailable",
          {**info("CrashLooping"), **condition("Available", "False")},
          ("reason_info", 'type="Available"')),
    State("a spec that cannot work", "ResNetServiceStalled",
          unready("InvalidSpec", condition("Stalled", "True")), NOT_READY),
    State("a compiler that refuses", "ResNetConversionFailing",
          unready("ConversionFailed", condition("Stalled", "True"),
                  condition("ArtifactReady", "False"), phase="Failed"),
          (*NOT_READY, 'type="ArtifactReady"')),
    State("a source that is away, tried again now and then", "ResNetConversionFailing",
          {**info("DownloadFailed", "Pending", "1x4 stale _x3 1x13 stale _x3 1x900"),
           **info("Fetching", "Fetching", "_x4 1x3 stale _x13 1x3 stale"),
           **condition("Ready", "False"), **condition("ArtifactReady", "False"),
           f"resnet_service_retries_total{{{A}}}": "0x4 1x16 2x900"},
          (*NOT_READY, 'type="ArtifactReady"', "retries_total"), 35),
    State("a rollback", "ResNetServiceRolledBack",
          unready("RolledBack", condition("Stalled", "True"), phase="Degraded"), NOT_READY),
    State("no chip is free", "ResNetServiceNoFreeChip", unready("Unschedulable"), NOT_READY),
    State("no chip is free until it is Stalled", "ResNetServiceNoFreeChip",
          unready("Unschedulable", condition("Stalled", "True")), NOT_READY),
    State("a candidate finds no chip", "ResNetServiceNoFreeChip", unready("WaitingForChip"),
          NOT_READY),
    State("a gate is not passed", "ResNetServiceGateFailing",
          unready("ValidationFailed", condition("Stalled", "True"),
                  condition("Validated", "False")), NOT_READY),
    State("a gate cannot measure", "ResNetServiceGateFailing", unready("EvaluationFailed"),
          NOT_READY),
    State("three of a hundred requests fail since ten minutes", "ResNetServiceErrorsFast",
          triton("nv_inference_request_failure", "0x390 0+18x600", ',reason="BACKEND"'),
          ("request_failure",), 440),
    State("one of a hundred requests fails for hours", "ResNetServiceErrorsSlow",
          triton("nv_inference_request_failure", "0+6x1000", ',reason="BACKEND"'),
          ("request_failure",), 400),
    State("of a hundred answers three are errors that Triton calls successes",
          "ResNetServiceErrorsFast", ours("0x390 0+18x600"), ("resnet_failed",), 440),
    State("one of a hundred is such an error, for hours", "ResNetServiceErrorsSlow",
          ours("0+6x1000"), ("resnet_failed",), 400),
    State("Triton counts the failures of one pod, the runtime those of another",
          "ResNetServiceErrorsSlow",
          {**triton("nv_inference_request_failure", "0+3x1000", ',reason="BACKEND"'),
           **ours("0+3x1000", pod="a-2")}, ("request_failure",), 400),
    State("some are refused, and as many fail in the model", "ResNetServiceErrorsSlow",
          {**triton("nv_inference_request_failure", "0+3x1000", ',reason="REJECTED"'),
           **ours("0+3x1000")}, ("request_failure", "resnet_failed"), 400),
    State("a Triton whose failures have no reason", "ResNetServiceErrorsFast",
          triton("nv_inference_request_failure", "0+18x1000"), ("request_failure",), 400),
    State("all answers are slow since an hour", "ResNetServiceSlowFast",
          triton("nv_inference_request_summary_us", "9000x390 900000x600", ',quantile="0.99"'),
          ("request_summary",), 445),
    State("answers are slow half of the time, for hours", "ResNetServiceSlowSlow",
          triton("nv_inference_request_summary_us", " ".join(["900000", "9000"] * 500),
                 ',quantile="0.99"'), ("request_summary",), 400),
    State("nine of ten requests fail for hours", "ResNetServiceErrorsFast",
          triton("nv_inference_request_failure", "0+5400x1000", ',reason="BACKEND"'),
          ("request_failure",), 400),
    State("all answers are slow for hours", "ResNetServiceSlowFast",
          triton("nv_inference_request_summary_us", "900000x1000", ',quantile="0.99"'),
          ("request_summary",), 400),
    State("requests pile up", "ResNetServiceQueueGrowing",
          triton("nv_inference_pending_request_count", "0+5x1000"), ("pending",)),
    State("a chip has fallen ill", "ResNetChipUnhealthy", condition("ChipsHealthy", "False"),
          ('type="ChipsHealthy"',)),
    State("the store's volume is nearly full", "ResNetStoreNearlyFull",
          {'kubelet_volume_stats_available_bytes{namespace="models",'
           'persistentvolumeclaim="resnet-store"}': "9x1000"}, ("available_bytes",)),
    State("an artifact found no room in a bucket", "ResNetStoreNearlyFull",
          unready("StoreFull", condition("Stalled", "True")), (*NOT_READY, "kubelet")),
    State("the operator is not scraped", "ResNetOperatorDown", {}, ("resnet_operator", A)),
    State("two followers and no leader", "ResNetOperatorDown",
          {f"resnet_operator_leading{{{OPERATOR}}}": "0x1000"}, ("leading",)),
    State("a kind is not seen", "ResNetOperatorWatchStale",
          {f'resnet_operator_watch_age_seconds{{{OPERATOR},kind="Pod"}}': "0+60x1000"},
          ("watch_age",)),
    State("two leaders", "ResNetOperatorTwoLeaders",
          {f"resnet_operator_leading{{{OPERATOR.replace('o-1', 'o-2')}}}": "1x1000"}),
    State("two installations", "ResNetOperatorContested",
          {f"resnet_operator_contested_namespaces{{{OPERATOR}}}": "1x1000"}, ("contested",)),
    State("the operator is behind", "ResNetOperatorQueueGrowing",
          {f"resnet_operator_queue_depth{{{OPERATOR}}}": "800x1000"}, ("queue_depth",)),
    State("the operator fails at an object", "ResNetOperatorInternalErrors",
          {f"resnet_operator_internal_errors_total{{{OPERATOR}}}": "0x50 0+1x600"},
          ("internal_errors",)),
)  # fmt: skip

QUIET = (
    State("at rest", "", {}),
    State("nothing is installed but the operator", "", {}, (A, "kubelet", "models")),
    State("a first conversion takes two hours", "",
          {**info("Converting", "Converting"), **condition("Ready", "False"),
           **condition("Reconciling", "True"), **condition("Available", "False"),
           **condition("ArtifactReady", "False")},
          ("reason_info", "resnet_service_condition", "revision_info", "nv_"), 120),
    State("a rollout: a conversion, then pods one after another", "",
          {**info("Converting", "Converting", "1x20 stale"),
           **info("RollingOut", "Deploying", "_x20 1x4 stale"),
           **info("Ready", "Ready", "_x24 1x900"),
           **condition("Ready", "False", "1x24 stale"), **condition("Ready", "True", "_x24 1x900"),
           **condition("ArtifactReady", "False", "1x20 stale"),
           **condition("ArtifactReady", "True", "_x20 1x900"),
           **condition("Reconciling", "True", "1x24 stale"),
           f"resnet_service_replicas_ready{{{A}}}": "2x20 1x4 2x900"},
          ("reason_info", 'type="Ready"', 'type="ArtifactReady"', "replicas_ready"), 60),
    State("one replica is replaced: nobody serves for three minutes", "",
          {**condition("Available", "False", "_x30 1x3 stale"),
           **condition("Available", "True", "1x30 stale _x3 1x900")}, ('type="Available"',), 60),
    State("Triton starts again: counters go back to zero", "",
          triton("nv_inference_request_success", "0+600x60 0+600x900"), ("request_success",)),
    State("nobody asks Triton anything", "",
          {**triton("nv_inference_request_success", "5x1000"),
           **triton("nv_inference_request_summary_us", "0x1000", ',quantile="0.99"')},
          ("request_success", "request_summary")),
    State("the load comes and goes", "",
          triton("nv_inference_pending_request_count", " ".join(["0", "40", "20", "0"] * 200)),
          ("pending",)),
    State("the leader changes", "",
          {f"resnet_operator_leading{{{OPERATOR}}}": "1x30 0x900",
           f"resnet_operator_leading{{{OPERATOR.replace('o-1', 'o-2')}}}": "0x31 1x900"},
          ("leading",), 60),
    State("a restart looks at a thousand objects", "",
          {f"resnet_operator_queue_depth{{{OPERATOR}}}": "0x30 900 400 0x900"}, ("queue_depth",),
          60),
    State("a download fails once and is made again", "",
          {**info("DownloadFailed", "Pending", "_x5 1x5 stale"),
           **info("Converting", "Converting", "_x10 1x30 stale"),
           **info("Ready", "Ready", "1x5 stale _x35 1x900"),
           **condition("ArtifactReady", "False", "_x5 1x35 stale"),
           **condition("ArtifactReady", "True", "1x5 stale _x35 1x900"),
           f"resnet_service_retries_total{{{A}}}": "0x10 1x900"},
          ("reason_info", 'type="ArtifactReady"', "retries_total"), 60),
    State("suspended, with nothing ready", "",
          {**info("Suspended", "Suspended"), **condition("Available", "False"),
           f"resnet_service_replicas_wanted{{{A}}}": "0x1000"},
          ("reason_info", 'type="Available"', "replicas_wanted", "nv_")),
    State("few requests, and two of them fail", "",
          {**triton("nv_inference_request_success", "0+1x1000"),
           **triton("nv_inference_request_failure", "0x30 1x5 2x900", ',reason="BACKEND"')},
          ("request_success", "request_failure")),
    State("few requests, and two of them are errors that Triton calls successes", "",
          {**triton("nv_inference_request_success", "0+1x1000"), **ours("0x30 1x5 2x900")},
          ("request_success", "resnet_failed")),
    State("one of two hundred fails, and Triton and the runtime both count it", "",
          {**triton("nv_inference_request_failure", "0+3x1000", ',reason="BACKEND"'),
           **ours("0+3x1000")}, ("request_failure", "resnet_failed"), 400),
    State("a runtime that counts nothing of its own", "", {}, ("resnet_failed",)),
    State("nobody is scraped for four minutes", "",
          {key: with_gap(values, 20, 4) for key, values in REST.items()}),
    State("the operator is replaced during a first conversion", "",
          {**by("o-1", info("Converting", "Converting", "1x20 stale")),
           **by("o-2", info("Converting", "Converting", "_x23 1x900")),
           **by("o-1", condition("Available", "False", "1x20 stale")),
           **by("o-2", condition("Available", "False", "_x23 1x900"))},
          ("reason_info", "resnet_service_condition", "revision_info", "nv_"), 60),
    State("the operator's counters begin again after two hours of retries and an error", "",
          {f'resnet_service_retries_total{{{A},pod="o-1"}}': "3x20 stale",
           f'resnet_service_retries_total{{{A},pod="o-2"}}': "_x22 0x900",
           f"resnet_operator_internal_errors_total{{{OPERATOR}}}": "7x20 0x900"},
          ("retries_total", "internal_errors"), 60),
    State("a namespace that has no objects any more", "",
          {key: f"{values.split('x')[0]}x20 stale" for key, values in REST.items() if A in key}),
    State("the revision before is pinned: a rollout like any other", "",
          {**info("RollingOut", "Deploying", "1x4 stale"), **info("Ready", "Ready", "_x5 1x900"),
           **condition("Ready", "False", "1x4 stale"), **condition("Ready", "True", "_x5 1x900"),
           f'resnet_service_revision_info{{{A},serving="a-2",desired="a-1"}}': "1x4 stale",
           f'resnet_service_revision_info{{{A},serving="a-1",desired="a-1"}}': "_x5 1x900"},
          (*NOT_READY, "revision_info"), 30),
    State("another installation in another namespace", "",
          {f"resnet_operator_leading{{{OPERATOR.replace('resnet-system', 'team')}}}": "1x1000"}),
)  # fmt: skip


@dataclass(frozen=True)
class Course:
    """What happens to an alert that fires: the minutes at which it does, and does so once."""

    reason: str
    alert: str
    changed: Series
    gone: tuple[str, ...]
    fires: tuple[int, ...]
    quiet: tuple[int, ...]


NOBODY_SERVES = ("reason_info", 'type="Available"', "revision_info", "replicas_wanted")


def unavailable(pod: str, values: str) -> Series:
    """What one pod of the operator says of an object that nobody serves."""
    return by(pod, {
        **info("CrashLooping", values=values), **condition("Available", "False", values),
        f'resnet_service_revision_info{{{A},serving="a-1",desired="a-1"}}': values,
        f"resnet_service_replicas_wanted{{{A}}}": values,
    })  # fmt: skip


def stalled(pod: str, values: str, reason: str = "InvalidSpec") -> Series:
    return by(pod, {**info(reason, values=values), **condition("Stalled", "True", values)})


COURSES = (
    Course("the operator is replaced, and for two minutes nobody is scraped",
           "ResNetServiceNotAvailable",
           {**unavailable("o-1", "1x20 stale"), **unavailable("o-2", "_x23 1x900")}, NOBODY_SERVES,
           fires=tuple(range(6, 60)), quiet=(4,)),
    Course("two operators speak of it while one takes over", "ResNetServiceNotAvailable",
           {**unavailable("o-1", "1x20 stale"), **unavailable("o-2", "_x18 1x900")}, NOBODY_SERVES,
           fires=tuple(range(6, 60)), quiet=(4,)),
    Course("one scrape fails", "ResNetServiceNotAvailable",
           unavailable("o-1", "1x20 stale 1x900"), NOBODY_SERVES, fires=tuple(range(6, 60)),
           quiet=(4,)),
    Course("the object is deleted", "ResNetServiceNotAvailable",
           {**unavailable("o-1", "1x20 stale"),
            **{key: "0x20 stale" for key in REST if A in key and "nv_" in key}},
           NOBODY_SERVES, fires=(6, 20), quiet=tuple(range(24, 60))),
    Course("it serves again", "ResNetServiceNotAvailable",
           {**by("o-1", info("CrashLooping", values="1x20 stale")),
            **by("o-1", info("Ready", "Ready", "_x21 1x900")),
            **by("o-1", condition("Available", "False", "1x20 stale")),
            **by("o-1", condition("Available", "True", "_x21 1x900"))},
           NOBODY_SERVES[:2], fires=(6, 20), quiet=tuple(range(21, 60))),
    Course("nobody wants it any more", "ResNetServiceNotAvailable",
           {**unavailable("o-1", "1x900"),
            **by("o-1", {f"resnet_service_replicas_wanted{{{A}}}": "1x20 0x900"})},
           NOBODY_SERVES, fires=(6, 20), quiet=tuple(range(21, 60))),
    Course("a person has fixed the spec: the condition is gone", "ResNetServiceStalled",
           {**stalled("o-1", "1x20 stale"), **by("o-1", info("Ready", "Ready", "_x21 1x900"))},
           NOT_READY, fires=(6, 20), quiet=tuple(range(21, 60))),
    Course("the operator is replaced while it is Stalled", "ResNetServiceStalled",
           {**stalled("o-1", "1x20 stale"), **stalled("o-2", "_x23 1x900")}, NOT_READY,
           fires=tuple(range(6, 60)), quiet=(4,)),
    Course("the operator is replaced after a rollback", "ResNetServiceRolledBack",
           {**stalled("o-1", "1x20 stale", "RolledBack"),
            **stalled("o-2", "_x23 1x900", "RolledBack")},
           NOT_READY, fires=tuple(range(1, 60)), quiet=()),
    Course("another reason of the same kind", "ResNetServiceNoFreeChip",
           {**info("WaitingForChip", values="1x20 stale"),
            **info("Unschedulable", values="_x21 1x900")}, NOT_READY, fires=tuple(range(16, 60)),
           quiet=(14,)),
    Course("a chip comes free", "ResNetServiceNoFreeChip",
           {**info("Unschedulable", values="1x30 stale"), **info("Ready", "Ready", "_x31 1x900")},
           NOT_READY, fires=(16, 30), quiet=tuple(range(31, 60))),
    Course("counters of a Triton that restarts, whose requests fail", "ResNetServiceErrorsFast",
           triton("nv_inference_request_failure", "0+60x20 0+60x900", ',reason="BACKEND"'),
           ("request_failure",), fires=tuple(range(5, 60)), quiet=()),
    Course("such counters of a runtime", "ResNetServiceErrorsFast",
           ours("0+60x20 0+60x900"), ("resnet_failed",), fires=tuple(range(5, 60)), quiet=()),
    Course("the operator comes back", "ResNetOperatorDown",
           {f"resnet_operator_leading{{{OPERATOR}}}": "1x10 stale _x20 1x900"}, ("leading",),
           fires=tuple(range(17, 31)), quiet=(10, 14, *range(33, 60))),
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What is to fire of one state, and at which minutes."""

    state: State | Course
    expected: dict[int, list[str]]
    # Who looks at one minute alone need not evaluate at each; what takes hours still less often.
    every: str

    def series(self) -> Series:
        gone = self.state.gone
        kept = {key: text for key, text in REST.items() if not any(part in key for part in gone)}
        return kept | self.state.changed

    def is_of_one_object(self) -> bool:
        """Tell whether the operator is at rest, so that other objects can be beside this one."""
        return all_but_objects(self.series()) == all_but_objects(REST)

    @property
    def namespace(self) -> str:
        """A name that says in promtool's complaint which state it is."""
        return re.sub(r"\W+", "-", f"{self.state.alert} {self.state.reason}").strip("-")


def all_but_objects(series: Series) -> Series:
    return {key: values for key, values in series.items() if MODELS not in key}


def worlds(looks: Iterable[Look]) -> list[list[Look]]:
    """Put objects whose operator is at rest into one world: each rule is read at each minute, and
    to read it is most of promtool's work, however many objects there are.
    """
    shared: dict[tuple[str, bool], list[Look]] = {}
    found = []
    for look in looks:
        if look.is_of_one_object():
            shared.setdefault((look.every, max(look.expected) > 120), []).append(look)
        else:
            found.append([look])
    for (_, of_hours), them in shared.items():
        count = AT_ONCE_FOR_HOURS if of_hours else len(them)
        found += [them[at : at + count] for at in range(0, len(them), count)]
    return found


def name_of(looks: list[Look]) -> str:
    more = f" and {len(looks) - 1} more" if len(looks) > 1 else ""
    return f"{looks[0].namespace}{more}"


def run(looks: list[Look], folder: Path) -> None:
    """Have promtool say whether exactly these alerts fire, each once, at these minutes."""
    (folder / "rules.yaml").write_text(plain_rules(), encoding="utf-8")
    series: Series = {}
    asked = []
    for look in looks:
        mine = f'namespace="{look.namespace}"' if len(looks) > 1 else MODELS
        series |= {key.replace(MODELS, mine): values for key, values in look.series().items()}
        which = f",{mine}" if len(looks) > 1 else ""
        expression = f'count by (alertname) (ALERTS{{alertstate="firing"{which}}})'
        asked += [
            {
                "expr": expression,
                "eval_time": f"{minute}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{name}"}}', "value": 1} for name in alerts
                ],
            }
            for minute, alerts in look.expected.items()
        ]
    if len(looks) > 1:
        asked += nothing_else(looks)
    test = {
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": asked,
    }
    content = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": looks[0].every,
        "tests": [test],
    }
    path = folder / "test.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")  # YAML, too
    # A third of its time is Go's look for garbage.
    seldom = os.environ | {"GOGC": "400"}
    command = ["promtool", "test", "rules", str(path)]
    done = subprocess.run(command, env=seldom, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def nothing_else(looks: list[Look]) -> list[dict[str, Any]]:
    """Ask that no alert fires of anything but these objects."""
    named = "|".join(look.namespace for look in looks)
    expression = f'ALERTS{{alertstate="firing",namespace!~"{named}"}}'
    minutes = sorted({minute for look in looks for minute in look.expected})
    return [{"expr": expression, "eval_time": f"{minute}m"} for minute in minutes]


@pytest.fixture(autouse=True)
def promtool() -> None:
    need_program("promtool", "prometheus")


def one_look(state: State) -> Look:
    return Look(state, {state.minutes: [state.alert]}, "5m")


def at_each_minute(state: State) -> Look:
    every = "1m" if state.minutes <= 120 else "5m"
    return Look(state, {minute: [] for minute in range(1, state.minutes + 1)}, every)


def along(course: Course) -> Look:
    expected = {minute: [course.alert] for minute in course.fires}
    return Look(course, expected | {minute: [] for minute in course.quiet}, "1m")


@pytest.mark.thorough
@pytest.mark.parametrize("looks", worlds(map(one_look, STATES)), ids=name_of)
def test_each_state_fires_its_alert_once(looks: list[Look], tmp_path: Path) -> None:
    run(looks, tmp_path)


@pytest.mark.thorough
@pytest.mark.parametrize("looks", worlds(map(at_each_minute, QUIET)), ids=name_of)
def test_nothing_fires(looks: list[Look], tmp_path: Path) -> None:
    """At no minute."""
    run(looks, tmp_path)


@pytest.mark.thorough
@pytest.mark.parametrize("looks", worlds(map(along, COURSES)), ids=name_of)
def test_an_alert_that_fires(looks: list[Look], tmp_path: Path) -> None:
    """It fires on, and once, while its cause lasts, and ends with it."""
    run(looks, tmp_path)


def test_every_alert_has_a_state() -> None:
    assert {state.alert for state in STATES} == {alert.name for alert in ALERTS}


@dataclass(frozen=True)
class Asked:
    """What an operations team asks to be told of, and by which alert."""

    of: str
    alert: str


ASKED = (
    Asked("an object does not serve", "ResNetServiceNotAvailable"),
    Asked("an object needs a person", "ResNetServiceStalled"),
    Asked("a conversion fails", "ResNetConversionFailing"),
    Asked("a revision was rolled back", "ResNetServiceRolledBack"),
    Asked("no chip is free for minutes", "ResNetServiceNoFreeChip"),
    Asked("a gate is not passed", "ResNetServiceGateFailing"),
    Asked("errors burn the budget fast", "ResNetServiceErrorsFast"),
    Asked("errors burn the budget slowly", "ResNetServiceErrorsSlow"),
    Asked("p99 is far above its objective", "ResNetServiceSlowFast"),
    Asked("p99 is above its objective for long", "ResNetServiceSlowSlow"),
    Asked("a queue grows", "ResNetServiceQueueGrowing"),
    Asked("a chip is unhealthy", "ResNetChipUnhealthy"),
    Asked("the store is nearly full", "ResNetStoreNearlyFull"),
    Asked("the operator is down", "ResNetOperatorDown"),
    Asked("the operator does not see the cluster", "ResNetOperatorWatchStale"),
    Asked("two operators lead", "ResNetOperatorTwoLeaders"),
)


@functools.cache
def groups_of_rules() -> Any:
    return yamls.read(plain_rules())["groups"]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.of)
def test_a_rule_leads_to_its_page(asked: Asked) -> None:
    """In the rules as Prometheus reads them, and pages as they are committed."""
    groups = groups_of_rules()
    (rule,) = [one for group in groups for one in group["rules"] if one["alert"] == asked.alert]
    said = rule["annotations"]
    assert set(rule["labels"]) == {"severity"}
    assert set(said) == {"summary", "description", "runbook_url"}
    assert all(said.values())
    page = (ROOT / said["runbook_url"]).read_text(encoding="utf-8")
    assert page.startswith(f"# {asked.alert}\n\n```\nkubectl "), "what to type comes first"


def test_the_rules_are_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(plain_rules(), encoding="utf-8")
    done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "@" not in plain_rules(), "a mark is left"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_runbook_begins_with_the_command(alert: Any) -> None:
    page = runbooks()[f"{alert.name}.md"]
    title, _, body = page.partition("\n\n")
    assert title == f"# {alert.name}"
    assert body.startswith("```\nkubectl "), "what to type comes first"
    assert alert.steps
    assert alert.severity in {"critical", "warning"}


def test_generated_files_are_up_to_date() -> None:
    assert stale_files() == [], "run: make generate"


def test_alerts_ask_for_what_is_exported() -> None:
    """Each metric of ours in a rule is one of the operator's; each reason is one of the table."""
    known = {FAILED} | {family.value.name for family in Families}
    for metric in vars(metrics).values():
        for family in metric.describe() if isinstance(metric, KINDS) else ():
            known |= {family.name, f"{family.name}_total"}
    named = set(re.findall(r"resnet_\w+", "".join(alert.expr for alert in ALERTS)))
    assert named <= known
    assert named, "the pattern still fits"
    words = {reason.value for reason in Reason}
    for alert in ALERTS:
        for metric, pattern in re.findall(r'(\w+)\{[^}]*reason=~"([^"]+)"', alert.expr):
            of_triton = {REFUSED, CANCELED} if metric == FAILURE else set()
            assert set(pattern.split("|")) <= (of_triton or words), alert.name
    assert set(OF_CONVERSIONS.split("|")) <= words


def test_the_chart_has_the_rules() -> None:
    text = (ROOT / "charts/resnet-operator/files/alerts.yaml").read_text(encoding="utf-8")
    assert yamls.read(text)["groups"]
