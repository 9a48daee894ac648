"""The operator is killed in the middle of each stage: nothing is lost and nothing is doubled."""

from __future__ import annotations

import pytest
from tests.e2e.story import Story

STAGES = [
    ("record", "the record is there, the Job is not yet, or just"),
    ("fetch", "the Job's pod is fetching"),
    ("convert", "ATC is running"),
    ("done", "the Job has ended, its result is not in the record yet"),
    ("rollout", "the Deployment is there, its pod is not ready"),
]


@pytest.mark.xdist_group("operator")
@pytest.mark.parametrize(("stage", "reason"), STAGES, ids=[stage for stage, _ in STAGES])
def test_killed_in_the_middle(story: Story, stage: str, reason: str) -> None:
    story.put_sample()
    story.apply(story.service())
    wait = {
        "record": lambda: bool(story.items("configmaps", "app.kubernetes.io/component=artifact")),
        "fetch": lambda: story.running("fetch") or story.ended("fetch"),
        "convert": lambda: story.running("convert") or story.ended("convert"),
        "done": lambda: story.ended("prepare"),
        "rollout": lambda: (
            "deployment.apps/digits" in story.kubectl("get", "deployments", "-o", "name")
        ),
    }[stage]
    story.eventually(wait, lambda: f"never came to: {reason}")
    story.operator.kill()
    if stage == "done":
        # Without an operator the Job runs to its end.
        story.eventually(
            lambda: any(c["type"] == "Complete" for c in story.job_conditions()),
            lambda: "the Job does not end by itself",
        )
    story.operator.restart()
    story.wait_ready()
    assert len(story.items("jobs")) == 1, "the conversion was not doubled"
    assert len(story.items("configmaps", "app.kubernetes.io/component=revision")) == 1
    assert len(story.items("configmaps", "app.kubernetes.io/component=artifact")) == 1
