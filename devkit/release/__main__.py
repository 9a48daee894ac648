"""`make release VERSION=x.y.z`: writes dist/ from the commit that is checked out.

The commit is exported first, so that nothing of the working tree gets in: no file that git does
not know, no mode and no time of this checkout.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEMVER = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?")
"""Without build metadata: a tag of an image has no +."""


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def export(commit: str, folder: Path) -> None:
    archive = ["git", "-c", "tar.umask=0022", "archive", "--format=tar", commit]
    with subprocess.Popen(archive, cwd=ROOT, stdout=subprocess.PIPE) as git_process:
        subprocess.run(["tar", "-x", "-C", folder], stdin=git_process.stdout, check=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make release")
    parser.add_argument("--version", default="", help="x.y.z")
    parser.add_argument("--registry", default="", help="where install.yaml has the images from")
    parser.add_argument("--with", dest="foreign", default="", help="images to pull and bundle")
    parser.add_argument("--digests", default="", help="file with lines: IMAGE sha256:...")
    parser.add_argument("--mkdocs", default="", help="program that makes the documentation's site")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    chosen = parser.parse_args()
    if not SEMVER.fullmatch(chosen.version):
        parser.error(
            f'VERSION is "{chosen.version}"; write a version such as 0.2.0 or 0.2.0-rc.1: '
            "make release VERSION=0.2.0"
        )
    return chosen


def main() -> int:
    chosen = arguments()
    if changed := git("status", "--porcelain"):
        print(f"release: a release is made from a commit; commit or stash:\n{changed}",
              file=sys.stderr)  # fmt: skip
        return 1
    commit, epoch = git("log", "-1", "--format=%H %ct").split()
    subprocess.run([ROOT / "devkit" / "images" / "install.sh"], check=True)
    with tempfile.TemporaryDirectory(prefix="resnet-release-") as work:
        tree, new = Path(work) / "tree", Path(work) / "dist"
        tree.mkdir()
        export(commit, tree)
        command = [sys.executable, "-m", "devkit.release.make", "--out", str(new)]
        command += ["--version", chosen.version, "--commit", commit, "--epoch", epoch]
        command += ["--registry", chosen.registry] if chosen.registry else []
        command += [part for name in chosen.foreign.split() for part in ("--with", name)]
        command += ["--digests", str(Path(chosen.digests).resolve())] if chosen.digests else []
        command += ["--mkdocs", chosen.mkdocs] if chosen.mkdocs else []
        path = f"{tree / 'operator'}:{tree}"
        done = subprocess.run(command, cwd=tree, env={**os.environ, "PYTHONPATH": path})
        if done.returncode:
            return done.returncode
        shutil.rmtree(chosen.out, ignore_errors=True)
        shutil.move(new, chosen.out)
    print(chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
