"""Which CANN the serving image holds, as its own files say: for the report of the benchmark.

The file ascend_toolkit_install.info has the product's version, version.info that of a component.
Python >= 3.8, standard library.
"""

from __future__ import annotations

import os
import platform
from typing import Mapping, Optional

FOLDER = "/usr/local/Ascend/ascend-toolkit/latest"


def cann_version(environment: Mapping[str, str], *, machine: str = "") -> Optional[str]:
    """For example "8.2.RC1"; None where no file says it."""
    arch = (machine or platform.machine()) + "-linux"
    roots = [environment.get(name) for name in ("ASCEND_TOOLKIT_HOME", "ASCEND_HOME_PATH")]
    for root in filter(None, [*roots, FOLDER]):
        for place, key in (
            ((arch, "ascend_toolkit_install.info"), "version"),
            (("runtime", "version.info"), "version"),
            ((arch, "version.info"), "version"),
            (("compiler", "version.info"), "version"),
        ):
            found = _value(os.path.join(root, *place), key)
            if found:
                return found
    return None


def _value(path: str, key: str) -> Optional[str]:
    """The value of a `key=value` line; the files differ in upper and lower case."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition("=")
                if name.strip().lower() == key:
                    return value.strip().strip('"') or None
    except OSError:
        pass
    return None
