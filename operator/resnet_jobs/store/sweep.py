"""Removes from the store what nobody uses, and never what somebody does. Called by `publish`.

The operator tells what is in use when it makes the Job (RESNET_KEEP): content keys of the
namespace's records, digests named by records and revisions, each by its first twelve digits (a
chance match only keeps more). docs/decisions/020-what-leaves-the-store.md has the reasons:

- A manifest goes when it is on no such list and was last used longer ago than the setting says.
- A blob that no manifest names and no list keeps is only noted (`unused/<digest>`), and goes in
  a later sweep when that note is older than any Job of today can live. So a Job that found the
  manifest just before it went still finds the blob, and writes the manifest again.
- All times are the store's own. "Now" is the time of the youngest note, and the Job that sweeps
  has just written one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError
from resnet_jobs.base.progress import say
from resnet_jobs.store.base import (
    BLOBS,
    INPUTS,
    MANIFESTS,
    UNUSED,
    UPLOADS,
    USED,
    Store,
    blob_path,
    is_digest,
    manifest_path,
    parse_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Collection

DAY = 86_400.0
SWEPT = "swept"
LAST = "last"
DIGITS = 12
UPLOAD = re.compile(r"[0-9a-f]{32}")
SUFFIX = ".json"


@dataclass(frozen=True)
class Keep:
    """What the operator's list keeps, and the days after which the rest goes."""

    days: float
    keys: frozenset[str]
    blobs: frozenset[str]

    def has_key(self, content_key: str) -> bool:
        return content_key[:DIGITS] in self.keys

    def has_blob(self, sha256: str) -> bool:
        return sha256[:DIGITS] in self.blobs


def parse_keep(text: str | None) -> Keep | None:
    """None for no list or one that is not understood: then nothing is removed."""
    try:
        value: Any = json.loads(text or "null")
        keys, blobs, days = value["keys"], value["blobs"], float(value["days"])
        return Keep(days=days, keys=_prefixes(keys), blobs=_prefixes(blobs)) if days > 0 else None
    except (ValueError, TypeError, KeyError):
        return None


def _prefixes(values: Collection[Any]) -> frozenset[str]:
    if isinstance(values, str) or not all(isinstance(v, str) and len(v) == DIGITS for v in values):
        raise ValueError("not a list of prefixes")
    return frozenset(values)


def tidy(store: Store, keep: Keep | None, *, job_seconds: float, urgent: bool = False) -> None:
    """Sweeps once a day; a store that cannot be swept keeps no Job from its end.

    What has a name that no Job of ours gives is passed over, here and in lists of the store.
    """
    if keep is None:
        return
    try:
        last = _times(store, SWEPT).get(LAST, 0.0)
        if urgent or _now(store) - last >= DAY:
            store.write(f"{SWEPT}/{LAST}", b"")
            sweep(store, keep, margin=DAY + job_seconds)
    except JobError as error:
        say(f"unused artifacts are not removed this time: {error.message}")
    except Exception as error:
        # Whatever lies in the store: the artifact is published, and that is what the Job is for.
        say(f"unused artifacts are not removed this time: {type(error).__name__}: {error}")


def sweep(store: Store, keep: Keep, *, margin: float) -> None:
    """One pass; `margin` in seconds is longer than any Job lives that may be under way."""
    now = _now(store)
    named = _sweep_manifests(store, keep, now=now)
    _sweep_blobs(store, keep, named, now=now, margin=margin)
    for entry in store.entries(UPLOADS):
        if UPLOAD.fullmatch(entry.name) and now - entry.modified > margin:
            store.remove(f"{UPLOADS}/{entry.name}")


def _now(store: Store) -> float:
    """The store's own time: that of the youngest note, which this Job has just written."""
    notes = [*store.entries(USED), *store.entries(SWEPT)]
    return max((entry.modified for entry in notes), default=0.0)


def _sweep_manifests(store: Store, keep: Keep, *, now: float) -> set[str]:
    """Removes manifests that nobody uses; returns the digests that the others name."""
    named: set[str] = set()
    old: list[str] = []
    used = _times(store, USED)
    listed = {
        entry.name.removesuffix(SUFFIX): entry.modified
        for entry in store.entries(MANIFESTS)
        if entry.name.endswith(SUFFIX) and is_digest(entry.name.removesuffix(SUFFIX))
    }
    for key, made in listed.items():
        last = max(made, used.get(key, 0.0))
        if keep.has_key(key) or now - last <= keep.days * DAY:
            named |= _named_by(store, key)
        else:
            old.append(key)
    fresh = _times(store, USED) if old else {}
    for key in old:
        if fresh.get(key, 0.0) > used.get(key, 0.0):  # somebody has come for it meanwhile
            named |= _named_by(store, key)
            continue
        store.remove(manifest_path(key))
        say(f"removed artifact {key[:DIGITS]}: not used for {keep.days:g} days")
    for key, last in used.items():
        gone = key in old and fresh.get(key, 0.0) <= last
        if gone or (key not in listed and now - last > keep.days * DAY):
            store.remove(f"{USED}/{key}")
    _sweep_index(store, {key for key in listed if key not in old}, now=now)
    return named


def _named_by(store: Store, key: str) -> set[str]:
    data = store.read(manifest_path(key))
    manifest = None if data is None else parse_manifest(data, key)
    return {manifest.sha256} if manifest else set()


def _sweep_index(store: Store, keys: Collection[str], *, now: float) -> None:
    for entry in store.entries(INPUTS):
        first, _, key = entry.name.partition(".")
        is_ours = is_digest(first) and is_digest(key)
        if is_ours and key not in keys and now - entry.modified > DAY:
            store.remove(f"{INPUTS}/{entry.name}")


def _sweep_blobs(store: Store, keep: Keep, named: set[str], *, now: float, margin: float) -> None:
    """Notes blobs without a manifest, and removes those that were noted long ago."""
    noted = _times(store, UNUSED)
    stored = _times(store, BLOBS)
    for sha256, made in stored.items():
        if sha256 in named or keep.has_blob(sha256):
            if sha256 in noted:
                store.remove(f"{UNUSED}/{sha256}")
        elif sha256 not in noted:
            store.write(f"{UNUSED}/{sha256}", b"")
        elif now - max(noted[sha256], made) > margin and _is_still_noted(store, sha256):
            store.remove(blob_path(sha256))
            store.remove(f"{UNUSED}/{sha256}")
            say(f"removed file {sha256[:DIGITS]}: no artifact names it")
    for sha256 in noted.keys() - stored.keys():
        store.remove(f"{UNUSED}/{sha256}")


def _is_still_noted(store: Store, sha256: str) -> bool:
    """Who takes a file that is there already takes its note away first."""
    return store.size(f"{UNUSED}/{sha256}") is not None


def _times(store: Store, folder: str) -> dict[str, float]:
    """When each digest of a folder, or its one note, was written."""
    return {
        entry.name: entry.modified
        for entry in store.entries(folder)
        if entry.name == LAST or is_digest(entry.name)
    }
