"""An earlier release: its tree out of the history, its images under its own version, its chart.

Nothing of it is changed but one flag: pip installs a lock without resolving it, because a release
that resolves stops building when time brings newer packages. What is installed is the same.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.apiserver import ROOT

# Run by the Python of the machine within the release's own tree, and with its own builder.
BUILD = """
import fcntl, sys
from pathlib import Path
from devkit.images.build import Builder
from devkit.images.targets import IMAGES
cache, out, version, *names = sys.argv[1:]
with (Path(cache) / ".lock").open("w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    builder = Builder(Path(cache), foreign={})
    for name in names:
        image, tar = IMAGES[name], Path(out) / f"{name}.tar"
        if not tar.exists():
            reference = image.reference.rpartition(":")[0] + ":" + version
            builder.engine.save(builder.build(image), tar, reference)
"""


@dataclass(frozen=True)
class Earlier:
    """A release as its users have it: a folder with its chart and its image recipes."""

    version: str
    tree: Path

    @property
    def chart(self) -> Path:
        return self.tree / "charts" / "resnet-operator"

    @property
    def cann(self) -> Path:
        """Its simulator of CANN."""
        return self.tree / "devkit" / "cann"

    def images(self, cache: Path, *names: str) -> list[Path]:
        """Build what is not built yet; return the tar files, tagged with the version."""
        out = cache / "releases" / self.version
        out.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", BUILD, str(cache), str(out), self.version, *names]
        subprocess.run(command, cwd=self.tree, check=True)
        return [out / f"{name}.tar" for name in names]


def find(version: str, *, commit: str) -> str | None:
    """Return the release's tag, else its commit where a clone has no tags, else None."""
    for name in (f"v{version}", commit):
        shown = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"],
            text=True,
            capture_output=True,
        )
        if shown.returncode == 0:
            return shown.stdout.strip()
    return None


def export(version: str, revision: str, into: Path) -> Earlier:
    """Write the release's tree into a folder."""
    archive = into / "release.tar"
    git = ["git", "-C", str(ROOT), "archive", "--format=tar", f"--output={archive}", revision]
    subprocess.run(git, check=True)
    tree = into / f"resnet-operator-{version}"
    with tarfile.open(archive) as tar:
        tar.extractall(tree, filter="data")
    archive.unlink()
    for dockerfile in (*tree.glob("Dockerfile"), *tree.glob("devkit/**/*Dockerfile")):
        text = dockerfile.read_text(encoding="utf-8")
        text = re.sub(r"(?<!--no-deps) --require-hashes", " --no-deps --require-hashes", text)
        dockerfile.write_text(text, encoding="utf-8")
    return Earlier(version, tree)
