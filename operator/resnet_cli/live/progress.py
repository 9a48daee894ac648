"""What is under way, as the status says it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from resnet_cli.parts import Body, name_of

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Going:
    """The stage, when it began, how much of the conversion is done, and of the file it moves."""

    stage: str
    began: str = ""
    percent: int | None = None
    done: int | None = None
    total: int | None = None

    @property
    def stage_percent(self) -> int | None:
        """How much of the file is there; None where nobody knows how much there will be."""
        if self.done is None or not self.total:
            return None
        return min(100 * self.done // self.total, 100)


def key_of(body: Body) -> Key:
    """Return kind, namespace and name."""
    return body["kind"], body["metadata"].get("namespace", ""), name_of(body)


def progress_of(found: Iterable[Body]) -> dict[Key, Going]:
    """Return what is under way, by object."""
    going: dict[Key, Going] = {}
    for body in found:
        said = (body.get("status") or {}).get("progress") or {}
        if stage := str(said.get("stage") or ""):
            going[key_of(body)] = Going(
                stage,
                str(said.get("startTime") or ""),
                said.get("percent"),
                said.get("bytes"),
                said.get("totalBytes"),
            )
    return going
