"""Write the lock files from pyproject.toml: exact versions with hashes, no host. `make lock`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Lock file -> extras of pyproject; "" is the operator's own dependencies.
LOCKS = {
    "operator": [""],
    "fetch": ["fetch"],
    "jobs": ["jobs"],
    "serving": ["serving"],
    "serving-cpu": ["serving-cpu"],
    "cli": ["", "cli"],
    "dev": ["", "jobs", "cli", "dev"],
    "tools": ["tools"],
    "docs": ["docs"],
    "originals": ["originals"],
}
# Their torch is Debian's: what they need beside it is all listed.
WITHOUT_DEPENDENCIES = {"originals"}


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, extras in LOCKS.items():
        wanted = [
            line
            for extra in extras
            for line in (
                project["optional-dependencies"][extra] if extra else project["dependencies"]
            )
        ]
        with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
            file.write("\n".join(wanted) + "\n")
            file.flush()
            subprocess.run(
                [
                    sys.executable, "-m", "uv", "pip", "compile", "--quiet",
                    "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url",
                    "--no-header", "--no-annotate", file.name,
                    *(["--no-deps"] if name in WITHOUT_DEPENDENCIES else []),
                    "-o", str(ROOT / "requirements" / f"{name}.lock"),
                ],
                check=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
