"""What a bucket has of the model at hand, written down for the driver. Called after `prepare`.

The driver runs in a foreign image and must not see the bucket's credentials, and only it knows the
compiler's version, a part of the content key. So `publish` notes in the bucket which content keys
came of the same inputs (`inputs/<digest of the inputs>.<contentKey>`), and `prepare` looks those
up. For the other kinds of store the driver asks by itself.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from resnet_jobs.progress import say
from resnet_jobs.store import INPUTS, Store, open_store
from resnet_jobs.workspace import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resnet_jobs.spec import JobSpec
    from resnet_jobs.workspace import Workspace

NAME = "known.json"


def note_known(spec: JobSpec, workspace: Workspace) -> None:
    """Leaves conf/known.json where a driver follows that cannot ask the store by itself."""
    if spec.store.type == "S3" and spec.is_compiled and not spec.validation_key:
        content = read_json(workspace.prepared)["contentInputs"]
        write_known(workspace, content, store=open_store(spec.store))


def write_known(workspace: Workspace, content: Mapping[str, Any], *, store: Store) -> None:
    """Only whole artifacts are listed: each one's blob is read and compared."""
    prefix = f"{inputs_digest(content)}."
    keys = [
        entry.name.removeprefix(prefix)
        for entry in store.entries(INPUTS)
        if entry.name.startswith(prefix)
    ]
    found = {key: manifest for key in keys if (manifest := store.find(key))}
    if found:
        say(f"the store has {len(found)} artifact(s) of the same model and options")
    known = {key: manifest.document for key, manifest in found.items()}
    write_json(workspace.conf / NAME, known)


def index(content: Mapping[str, Any], content_key: str, *, store: Store) -> None:
    """Notes that this key came of these inputs, for stores that cannot be asked by the driver."""
    if store.indexes_inputs:
        store.write(f"{INPUTS}/{inputs_digest(content)}.{content_key}", b"")


def inputs_digest(content: Mapping[str, Any]) -> str:
    """What `prepare` knows of the content key: all but the compiler."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
