"""What stands around an object in the tree: limits, claims, and who holds the chips."""

from __future__ import annotations

from resnet_cli.facts import Facts
from resnet_cli.parts import name_of
from resnet_cli.picture import Node, Tone
from resnet_operator import names


def around(facts: Facts) -> list[Node]:
    return [*_limits(facts), *_claims(facts), *_chips(facts)]


def _limits(facts: Facts) -> list[Node]:
    nodes = []
    for one in facts.limits:
        status, kind = one.get("status") or {}, one.get("kind", "")
        hard, used = status.get("hard") or {}, status.get("used") or {}
        shown = [f"{name} {used.get(name, '?')} of {hard[name]}" for name in sorted(hard)]
        nodes.append(Node(f"{kind} {name_of(one)}: {', '.join(shown) or 'limits'}", Tone.PLAIN))
    return nodes


def _claims(facts: Facts) -> list[Node]:
    used = {
        (volume.get("persistentVolumeClaim") or {}).get("claimName")
        for pod in facts.pods
        for volume in (pod.get("spec") or {}).get("volumes") or ()
    }
    wanted = used | {names.STORE_NAME}
    nodes = []
    for one in facts.claims:
        if name_of(one) in wanted:
            phase = (one.get("status") or {}).get("phase") or "Pending"
            tone = Tone.GOOD if phase == "Bound" else Tone.BAD
            nodes.append(Node(f"PersistentVolumeClaim {name_of(one)}: {phase}", tone))
    return nodes


def _chips(facts: Facts) -> list[Node]:
    if facts.holders is None:
        return []
    taken = sum(one.count for one in facts.holders)
    total = sum(facts.capacity.values()) if facts.capacity is not None else None
    of = f" of {total}" if total is not None else ""
    children = [
        Node(
            f"{one.count} held by {one.namespace}/{one.pod}"
            + (f" of ResNetService {one.service}" if one.service else "")
            + f" on Node {one.node}",
            Tone.PLAIN,
        )
        for one in facts.holders
    ]
    text = f"chips: {taken}{of} {facts.resource} held"
    if facts.lacks_devices:
        return [Node(f"chips: no node offers {facts.resource}", Tone.BAD, tuple(children))]
    return [Node(text, Tone.WAITS, tuple(children))]
