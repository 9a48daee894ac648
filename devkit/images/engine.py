"""buildah, with a storage of its own in the cache: builds, saves and pushes images for build.py.

chroot isolation, because a build then needs neither cgroups nor a network of its own; the kernel's
overlay file system where there is one, because vfs copies the whole root for each layer.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.images.tools import BuildError, digest, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Buildah:
    """One image storage. `build`, `save` and `push` raise BuildError with buildah's last words."""

    def __init__(self, storage: Path) -> None:
        # Must not outlive a reboot, so not in the cache.
        state = f"/run/resnet-devkit-buildah-{digest(str(storage))}"
        for driver in ("overlay", "vfs"):
            place = ("--root", str(storage / driver), "--runroot", f"{state}-{driver}")
            self._global = (*place, "--storage-driver", driver)
            try:
                self._buildah("info")
            except BuildError as error:
                reason = error
            else:
                return
        raise BuildError(f"no storage driver of buildah works here: {reason}")

    def _buildah(self, *arguments: str | Path) -> str:
        return run("buildah", *self._global, *arguments)

    def has(self, reference: str) -> bool:
        found = self._buildah("images", "--quiet", "--filter", f"reference={reference}")
        return bool(found.strip())

    def build(
        self,
        reference: str,
        *,
        dockerfile: Path,
        context: Path,
        stage: str | None,
        arguments: Mapping[str, str],
        volumes: Mapping[Path, str],
    ) -> None:
        options = ["--isolation=chroot", "--layers", "--force-rm", "--format=docker", "--quiet"]
        options += [f"--target={stage}"] if stage else []
        options += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        options += [f"--volume={path}:{inside}:ro" for path, inside in volumes.items()]
        self._buildah("build", *options, f"--file={dockerfile}", f"--tag={reference}", context)

    def pull(self, reference: str) -> None:
        self._buildah("pull", "--quiet", f"docker://{reference}")

    def layers(self, reference: str) -> list[str]:
        """The uncompressed digests of an image's layers, lowest first."""
        described = json.loads(self._buildah("inspect", "--type=image", reference))
        return [str(layer) for layer in described["OCIv1"]["rootfs"]["diff_ids"]]

    def save(self, reference: str, path: Path, name: str) -> None:
        """Write a docker-archive; `name` is what a cluster will know the image by."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        self._buildah("push", "--quiet", reference, f"docker-archive:{new}:{name}")
        new.rename(path)

    def push(self, reference: str, destination: str, *, verify_tls: bool) -> None:
        tls = f"--tls-verify={str(verify_tls).lower()}"
        self._buildah("push", "--quiet", tls, reference, f"docker://{destination}")

    def pin(self, reference: str, name: str, *, verify_tls: bool) -> str:
        """Fetch a base image; return a name of it here that changes with its content."""
        tls = f"--tls-verify={str(verify_tls).lower()}"
        policy = "--policy=missing" if reference.startswith("localhost/") else "--policy=ifnewer"
        found = self._buildah("pull", "--quiet", policy, tls, reference).split()[-1]
        pinned = f"localhost/base/{name.lower()}:{found.removeprefix('sha256:')[:16]}"
        self._buildah("tag", found, pinned)
        return pinned

    @contextmanager
    def mounted(self, reference: str) -> Iterator[Path]:
        """The files of an image, to look at; nothing of it is run."""
        container = self._buildah("from", "--pull-never", reference).strip()
        try:
            yield Path(self._buildah("mount", container).strip())
        finally:
            self._buildah("rm", container)

    def tags(self, repository: str) -> list[str]:
        """References of a repository, newest first."""
        found = self._buildah(
            *("images", "--format", "{{.Name}}:{{.Tag}}"),
            *("--filter", f"reference={repository}"),
        )
        return found.split()

    def remove(self, reference: str) -> None:
        """Forget an image; one that somebody still works with stays."""
        with suppress(BuildError):
            self._buildah("rmi", reference)
