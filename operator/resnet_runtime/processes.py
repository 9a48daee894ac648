"""What launch.py asks the kernel: the process table, memory kills, shared memory left behind.

In a pod it is mounted at /launcher/resnet_runtime/processes.py. Standard library, Python >= 3.8.
"""

from __future__ import annotations

import os
import sys
from typing import Dict, NamedTuple, Optional

SHM = "/dev/shm"
SHM_PREFIX = "triton_python_backend_shm_region_"
OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


class Process(NamedTuple):
    """One line of the process table; `status` is a wait status once `state` is Z.

    `ticks` of the processor it has used, with its children that have ended.
    """

    name: str
    state: str
    parent: int
    status: int
    ticks: int


def log(text: str) -> None:
    sys.stderr.write("launch: {}\n".format(text))
    sys.stderr.flush()


def process_table() -> Dict[int, Process]:
    """All processes that can be seen, by pid."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    found = ((pid, process_of(pid)) for pid in pids)
    return {pid: process for pid, process in found if process is not None}


def process_of(pid: int) -> Optional[Process]:
    """One process, or None when it has ended and was collected."""
    try:
        with open("/proc/{}/stat".format(pid)) as file:
            before, after = file.read().rsplit(")", 1)
    except OSError:
        return None
    fields = after.split()  # from field 3, the state, on; the last is field 52, exit_code
    ticks = sum(int(field) for field in fields[11:15])
    return Process(before.split("(", 1)[1], fields[0], int(fields[1]), int(fields[49]), ticks)


def describe(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        return "signal {}".format(os.WTERMSIG(status))
    return "exit status {}".format(os.WEXITSTATUS(status))


def words_of(status: int) -> str:
    """A return code as subprocess has it, in words."""
    return "signal {}".format(-status) if status < 0 else "exit status {}".format(status)


def exit_status(status: int) -> int:
    """A shell's status for a return code of subprocess; an end that nobody asked for is no 0."""
    return 128 - status if status < 0 else (status or 1)


def out_of_memory_kills() -> int:
    """How many processes of this container the kernel killed for memory (cgroup v2 or v1)."""
    for path in OOM_COUNTERS:
        try:
            with open(path) as file:
                for line in file:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        except OSError:
            continue
    return 0


def remove_stale_regions(folder: str = SHM) -> int:
    """Delete what a crashed Triton left in shared memory, except what a live process maps.

    /dev/shm outlives a restart of the container, and the regions would fill it up.
    """
    try:
        stale = {name for name in os.listdir(folder) if name.startswith(SHM_PREFIX)}
    except OSError:
        return 0
    for pid in process_table() if stale else ():
        try:
            with open("/proc/{}/maps".format(pid)) as file:
                text = file.read()
        except OSError:
            continue
        stale = {name for name in stale if name not in text}
    for name in stale:
        try:
            os.unlink(os.path.join(folder, name))
        except OSError as error:
            log("cannot remove {}: {}".format(name, error))
    return len(stale)


def exists(path: Optional[str]) -> bool:
    return path is not None and os.path.exists(path)


def with_package() -> Dict[str, str]:
    """The environment of a child that imports this package."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
