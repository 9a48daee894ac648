"""What the store has of the model at hand, written down for the driver. Called after `prepare`.

The driver runs in a foreign image and must see neither the store's login nor its key, and only it
knows the compiler's version, a part of the content key. So `publish` notes in the store which
content keys came of the same inputs (`inputs/<digest of the inputs>.<contentKey>`), and `prepare`
looks those up. Stores of version 0.1.0 have such notes in buckets alone; there an artifact that the
operator vouches for is recognised by the compiler that its manifest names.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.progress import say
from resnet_jobs.base.workspace import read_json, write_json
from resnet_jobs.driver.outcome import content_key, host_part
from resnet_jobs.store.base import INPUTS, Store, is_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from resnet_contract.order import JobSpec
    from resnet_jobs.base.workspace import Workspace

NAME = "known.json"


def note_known(spec: JobSpec, workspace: Workspace) -> None:
    """Leaves conf/known.json where a driver follows that may find its work done."""
    if spec.is_compiled and not spec.validation_key:
        from resnet_jobs.store.open import open_store

        content = read_json(workspace.prepared)["contentInputs"]
        store = open_store(spec.store, os.environ)
        host = host_part(spec.host_architecture, platform.machine())
        write_known(workspace, content, store=store, host=host)


def write_known(
    workspace: Workspace,
    content: Mapping[str, Any],
    *,
    store: Store,
    host: Mapping[str, str] | None = None,
) -> None:
    """Only whole artifacts are listed: each one's blob is read and compared."""
    prefix = f"{inputs_digest(content)}."
    keys = {
        entry.name.removeprefix(prefix)
        for entry in store.entries(INPUTS)
        if entry.name.startswith(prefix) and is_digest(entry.name.removeprefix(prefix))
    }
    keys.update(_vouched(store, {**content, **(host or {})}))
    found = {key: manifest for key in sorted(keys) if (manifest := store.find(key))}
    if found:
        say(f"the store has {len(found)} artifact(s) of the same model and options")
    known = {key: dict(manifest.document) for key, manifest in found.items()}
    write_json(workspace.conf / NAME, known)


def _vouched(store: Store, content: Mapping[str, Any]) -> Iterator[str]:
    for key in store.seal.vouched if store.seal else ():
        manifest = store.named(key)
        compiler = manifest.document.get("compiler") if manifest else None
        if isinstance(compiler, str) and content_key(dict(content), compiler) == key:
            yield key


def index(content: Mapping[str, Any], content_key: str, *, store: Store) -> None:
    """Notes that this key came of these inputs."""
    store.write(f"{INPUTS}/{inputs_digest(content)}.{content_key}", b"")


def inputs_digest(content: Mapping[str, Any]) -> str:
    """What `prepare` knows of the content key: all but the compiler."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
