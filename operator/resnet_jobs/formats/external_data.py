"""Models that keep their weights in files beside the model (ONNX "external data").

`fetch` brings the files along when they lie on the same volume; `prepare` merges them into the
model, so that one file and one digest stand for the whole from then on.
"""

from __future__ import annotations

import hashlib
import mmap
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from resnet_jobs.base.errors import unsupported
from resnet_jobs.base.files import Digest
from resnet_jobs.formats.onnx_wire import WireError, external_locations

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOCATION_ENTRY = b"\x0a\x08location"  # field 1, 8 bytes: the key of a StringStringEntryProto


def external_files(path: Path) -> tuple[str, ...]:
    """The relative paths of the files a model's weights are in; empty for one-file models and for
    what is no ONNX file at all (`prepare` says so in better words).
    """
    if path.stat().st_size == 0:
        return ()
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        # Most models have no such entry, and finding that is faster than reading.
        if content.find(LOCATION_ENTRY) < 0:
            return ()
        try:
            with memoryview(content) as view:
                names = external_locations(view)
        except WireError:  # not a model
            return ()
    for name in names:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            raise unsupported(
                f'the model keeps weights in "{name}", outside its folder: save it as one file, '
                "onnx.save(onnx.load(path), new_path)"
            )
    return tuple(sorted(names))


def combined_digest(digests: Mapping[str, Digest]) -> Digest:
    """One digest for several files: of the lines `sha256sum <files in order of name>` prints."""
    lines = "".join(f"{digests[name].sha256}  {name}\n" for name in sorted(digests))
    return Digest(
        sha256=hashlib.sha256(lines.encode()).hexdigest(),
        size=sum(digest.size for digest in digests.values()),
    )
