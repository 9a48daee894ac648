"""Files that a container with a foreign image has left, or may have: read without trusting them.

Such a container may leave a link to a file that only ours can see (the store's key), a pipe that
nobody ever writes to, or a text of gigabytes. It has ended when its files are read here, so what
was looked at stays as it is; only `read_bounded` also holds against one that still runs.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from resnet_jobs.base.errors import JobError, Reason

MOST_BYTES = 8 * 2**20


def is_regular(path: Path) -> bool:
    """Whether there is a file, itself and not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def read_bounded(path: Path, *, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file; OSError or ValueError for anything else."""
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise ValueError(f"{path.name} is not a regular file")
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{path.name} is larger than {most} bytes")
    return data


def check_folder(folder: Path, *, container: str) -> None:
    """`ConversionFailed` where a container has left anything but files and folders."""
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            mode = (Path(root) / name).lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise JobError(
                    Reason.CONVERSION_FAILED,
                    f'the container {container} left "{name[:80]}", which is not a regular file: '
                    "use another image",
                )
