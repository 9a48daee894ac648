"""An autoscaler scales the object by its scale subresource, and nobody fights over the number."""

from __future__ import annotations

from tests.e2e.story import API, Story

CPU = {"chip": "CPU"}


def autoscaler(minimum: int, maximum: int) -> dict[str, object]:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "digits"},
        "spec": {
            "scaleTargetRef": {"apiVersion": API, "kind": "ResNetService", "name": "digits"},
            "minReplicas": minimum,
            "maxReplicas": maximum,
        },
    }


def test_an_autoscaler_sets_the_replicas(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator=CPU))
    story.wait_ready()
    story.apply(autoscaler(2, 3))
    story.eventually(
        lambda: story.get("resnetservice", "digits")["spec"]["serving"]["replicas"] == 2,
        lambda: f"the autoscaler does not scale: {story.get('hpa', 'digits')}",
        seconds=60,
    )
    status = story.wait_ready()
    assert status["ready"] == "2/2"
    conditions = {c["type"]: c for c in story.get("hpa", "digits")["status"]["conditions"]}
    assert conditions["AbleToScale"]["status"] == "True"
    assert story.get("deployment", "digits")["spec"]["replicas"] == 2

    # Applied again as it was, without a number: the autoscaler's stays.
    story.apply(story.service(accelerator=CPU))
    assert story.get("resnetservice", "digits")["spec"]["serving"]["replicas"] == 2


def test_zero_is_a_fine_number(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator=CPU, serving={"replicas": 0}))
    status = story.wait_ready()
    assert status["phase"] == "Ready"
    assert story.ready_condition()["reason"] == "ScaledToZero"
    assert story.items("pods", "app.kubernetes.io/component=serving") == []
    story.kubectl("scale", "resnetservice", "digits", "--replicas=1")
    assert story.wait_ready()["ready"] == "1/1"
