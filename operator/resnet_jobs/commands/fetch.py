"""`python3 -m resnet_jobs fetch`: everything a Job works on, into its scratch volume: the driver,
the model with what lies beside it, the calibration set, the dataset.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from resnet_contract.batch.order import INPUT
from resnet_contract.report.messages import Fetched
from resnet_jobs.base.archive import SUFFIXES
from resnet_jobs.base.errors import JobError, Reason, unsupported
from resnet_jobs.base.progress import say
from resnet_jobs.base.workspace import install_driver
from resnet_jobs.formats.external_data import combined_digest, external_files
from resnet_jobs.publisher.handover import write_facts
from resnet_jobs.sources.access import Access
from resnet_jobs.sources.one_file import Order, fetch_file, source_policy

if TYPE_CHECKING:
    from pathlib import Path

    from resnet_contract.address import SourceSpec
    from resnet_contract.batch.order import BatchOrder
    from resnet_contract.order import JobSpec
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.base.files import Digest
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.hub.model import HubModel

# By these a model is found among several files of an OCI artifact.
MODEL_SUFFIXES = {
    "ONNX": (".onnx",),
    "OM": (".om",),
    "PyTorch": (".safetensors", ".pth", ".pt", ".bin"),
    "TorchScript": (".pt", ".pth", ".ts", ".torchscript"),
    "OneFlow": SUFFIXES,
}
SINGLE_FILE_SCHEMES = ("configmap",)  # one key is mounted, and keys know no folders


def fetch(spec: JobSpec, workspace: Workspace, *, clock: Clock) -> dict[str, Any]:
    """Success message with the digests of what came; `ChecksumMismatch` when it is another."""
    install_driver(workspace)
    with _Fetch(spec, workspace, clock, Access.from_environment(os.environ)) as job:
        if spec.batch:
            return job.pictures(spec.batch).to_json()
        digest, provenance = job.model()
        found = Fetched(sha256=digest.sha256, size_bytes=digest.size, **provenance)
        if spec.quantization:
            calibration = spec.quantization.calibration
            sha256 = job.file_set(
                calibration.source,
                sha256=calibration.sha256,
                field="spec.conversion.quantization.calibration",
                folder=workspace.calibration,
            )
            found = replace(found, calibration_sha256=sha256)
        if spec.dataset:
            sha256 = job.file_set(
                spec.dataset.source,
                sha256=spec.dataset.sha256,
                field="spec.validation.dataset",
                folder=workspace.dataset,
            )
            found = replace(found, dataset_sha256=sha256)
    return found.to_json()


@dataclass(frozen=True)
class _Fetch:
    """The parts of one run; its connections end with the block."""

    spec: JobSpec
    workspace: Workspace
    clock: Clock
    access: Access

    def __enter__(self) -> _Fetch:
        return self

    def __exit__(self, *_: object) -> None:
        self.access.web.close()

    def pictures(self, batch: BatchOrder) -> Fetched:
        """What a batch classifies: the artifact comes from the store, and no model is needed."""
        sha256 = self.file_set(
            batch.source, sha256=batch.sha256, field=INPUT, folder=self.workspace.dataset
        )
        return Fetched(dataset_sha256=sha256)

    def model(self) -> tuple[Digest, dict[str, str]]:
        """ONNX goes where `prepare` reads it; what is still to be exported, beside. With it comes
        which file of a hub it is.
        """
        spec, is_onnx = self.spec, self.spec.format == "ONNX"
        if spec.format == "OneFlow":
            return self._folder(), {}
        target = self.workspace.model if is_onnx else self.workspace.fetched
        say(f"fetching {spec.source.label}")
        order = self._order(
            spec.source, mount=self.workspace.source, suffixes=MODEL_SUFFIXES[spec.format]
        )
        found = self._in_hub(order)
        if found is not None:
            order = order.of(found.source)
        digest, name = fetch_file(order, target, access=self.access)
        beside = external_files(target) if is_onnx else ()
        if beside:
            digest = self._beside(order, beside, name=name, model=digest)
        _check(spec, digest, name=name, beside=beside)
        say(f"sha256 {digest.sha256}")
        return digest, found.provenance if found else {}

    def _in_hub(self, order: Order) -> HubModel | None:
        """The file and the commit of a hub's address, and what the publisher says of it."""
        if not order.source.is_hub:
            return None
        from resnet_jobs.hub.model import fetch_facts, find_model

        access, policy = self.access, order.policy
        found = find_model(order.source, wanted=self.spec.format, access=access, policy=policy)
        if self.spec.validation_key is None:  # the gate is told by the operator
            facts, notes, config = fetch_facts(found, access=access, policy=policy)
            write_facts(self.workspace.publisher, facts, notes)
            self.workspace.hub_config.write_bytes(config)
        return found

    def _folder(self) -> Digest:
        from resnet_jobs.sources.file_sets import SetOrder, fetch_set

        spec = self.spec
        order = self._order(
            spec.source, mount=self.workspace.source, suffixes=MODEL_SUFFIXES[spec.format]
        )
        wanted = SetOrder(order=order, sha256=spec.sha256, field="spec.model")
        digest = fetch_set(wanted, self.workspace.fetched_folder, access=self.access)
        say(f"sha256 {digest.sha256}")
        return digest

    def _beside(self, order: Order, names: tuple[str, ...], *, name: str, model: Digest) -> Digest:
        """Brings the files with the weights; the digest is then that of the list of all files."""
        if order.source.scheme in SINGLE_FILE_SCHEMES:
            raise unsupported(
                f"the model keeps its weights in other files ({', '.join(names[:3])}): put all of "
                "them on a claim, or save the model as one file, "
                "onnx.save(onnx.load(path), new_path)"
            )
        if self.workspace.model.name in names:
            raise unsupported(
                f'the model keeps weights in a file called "{self.workspace.model.name}", as the '
                "model itself is called here: save it as one file, "
                "onnx.save(onnx.load(path), new_path)"
            )
        digests, model_source = {PurePosixPath(name).name: model}, order.source
        if model_source.scheme == "oci":
            model_source = replace(model_source, title=name)  # it may have been chosen
        for other in names:
            source = model_source.sibling(other)
            say(f"fetching {other}")
            target = self.workspace.model.parent / other
            digests[other], _ = fetch_file(order.of(source), target, access=self.access)
        return combined_digest(digests)

    def file_set(self, source: SourceSpec, *, sha256: str | None, field: str, folder: Path) -> str:
        """The digest of a calibration set or dataset, which then lies in `folder`."""
        from resnet_jobs.sources.file_sets import SetOrder, fetch_set

        mount = self.workspace.source
        order = self._order(
            source,
            mount=mount.with_name(f"{mount.name}-{folder.name}"),  # /source-calibration
            suffixes=SUFFIXES,
        )
        wanted = SetOrder(order=order, sha256=sha256, field=field)
        digest = fetch_set(wanted, folder, access=self.access)
        say(f"sha256 {digest.sha256}")
        return digest.sha256

    def _order(self, source: SourceSpec, *, mount: Path, suffixes: tuple[str, ...]) -> Order:
        policy = source_policy(self.spec.timeout_seconds, self.clock)
        return Order(source=source, mount=mount, suffixes=suffixes, policy=policy)


def _check(spec: JobSpec, digest: Digest, *, name: str, beside: tuple[str, ...]) -> None:
    if spec.sha256 is None or spec.sha256 == digest.sha256:
        return
    how = ""
    if beside:
        files = " ".join(sorted((PurePosixPath(name).name, *beside)))
        how = f"; with weights in other files it is that of `sha256sum {files} | sha256sum`"
    raise JobError(
        Reason.CHECKSUM_MISMATCH,
        f"the file has sha256 {digest.sha256[:12]}…, spec.model.sha256 says {spec.sha256[:12]}…; "
        f"correct one of them{how}",
        detail=f"the file's sha256 is {digest.sha256}; spec.model.sha256 is {spec.sha256}",
    )
