"""From a hub's address to one file at one commit, and to what its publisher says of it.

Called by `fetch` for the model's own address.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.progress import say
from resnet_jobs.hub.choice import choose
from resnet_jobs.hub.listing import Snapshot, at_commit, find_snapshot, is_commit
from resnet_jobs.publisher.config_files import CONFIG, FILES, MOST_BYTES, read_config_file
from resnet_jobs.publisher.facts import NOTHING, PublisherFacts, merge
from resnet_jobs.sources.hub import read_file

if TYPE_CHECKING:
    from resnet_contract.address import SourceSpec
    from resnet_jobs.net.transfer import RetryPolicy
    from resnet_jobs.sources.access import Access


@dataclass(frozen=True)
class HubModel:
    """`source` names the file and, where the hub tells it, the commit."""

    source: SourceSpec
    snapshot: Snapshot | None

    @property
    def provenance(self) -> dict[str, str]:
        """What a later reader needs to find the very file again."""
        revision = self.source.revision if is_commit(self.source.revision) else None
        return {"file": self.source.path} | ({"revision": revision} if revision else {})


def find_model(source: SourceSpec, *, wanted: str, access: Access, policy: RetryPolicy) -> HubModel:
    """`wanted` is the format. A file at a commit needs no question."""
    if source.path and is_commit(source.revision):
        return HubModel(source, None)
    snapshot = find_snapshot(source, access=access, policy=policy)
    if not source.path and snapshot is not None:
        source = replace(source, path=choose(source, snapshot, wanted=wanted))
        say(f"the model of {source.host} is {source.path}")
    elif snapshot is not None and source.path not in snapshot.files:
        raise JobError(
            Reason.MODEL_NOT_FOUND,
            f"{source.label}: {source.host} has no file {source.path} at revision "
            f"{source.revision}; it has {snapshot.shown()}: check path and revision",
        )
    return HubModel(at_commit(source, snapshot), snapshot)


def fetch_facts(
    model: HubModel, *, access: Access, policy: RetryPolicy
) -> tuple[PublisherFacts, list[str], bytes]:
    """(facts, notes, config.json) of the hub's own files beside the model or at the top of its
    repository.
    """
    facts, notes, config = [], [], b""
    for name in FILES:
        text = _first(model, name, access=access, policy=policy)
        if text is None:
            continue
        if len(text) > MOST_BYTES:
            notes.append(f"{name} is larger than {MOST_BYTES} bytes: ignored")
            continue
        found, said = read_config_file(name, text)
        facts.append(found)
        notes += said
        config = text if name == CONFIG else config
    # The preprocessor's file speaks of pictures alone, so it counts before what config.json has.
    return (merge(reversed(facts)) if facts else NOTHING), notes, config


def _first(model: HubModel, name: str, *, access: Access, policy: RetryPolicy) -> bytes | None:
    beside = str(PurePosixPath(model.source.path).parent / name)
    for place in dict.fromkeys((beside, name)):
        if model.snapshot is not None and place not in model.snapshot.files:
            continue
        source = replace(model.source, path=place)
        text = read_file(source, most=MOST_BYTES, access=access, policy=policy)
        if text is not None:
            return text
    return None
