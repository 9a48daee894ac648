"""`prepare` for format OneFlow: the folder that `flow.save(graph, folder)` made, into one tar.

Nothing here can read a OneFlow graph, so it is served as it is and its author declares inputs and
outputs. The store keeps single files; a serving pod unpacks the tar again (`download --unpack`).
"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any

from resnet_contract.report.messages import Prepared
from resnet_jobs.base.errors import JobError, Reason, invalid, unsupported
from resnet_jobs.base.files import digest_file, no_space_explained, require_space
from resnet_jobs.base.progress import say
from resnet_jobs.base.report import check_fits
from resnet_jobs.base.workspace import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from resnet_contract.order import JobSpec
    from resnet_jobs.base.workspace import Workspace

# Raised by hand when the same order would give another artifact than before.
RECIPE = 1
WANTED = "write the folder that flow.save(graph, folder) made, or an archive of it"


def prepare_oneflow(spec: JobSpec, workspace: Workspace) -> dict[str, Any]:
    """Success message; leaves conf/prepared.json and the tar for `publish`."""
    if not workspace.fetched_folder.is_dir():
        raise JobError(
            Reason.RESULT_LOST, "the fetched folder is missing: the Job has to run again"
        )
    for field, kind in (("inputs", "INPUT"), ("outputs", "OUTPUT")):
        _check_names([tensor.name for tensor in _declared(spec, field)], field=field, kind=kind)
    folder, notes = _model_folder(workspace.fetched_folder)
    pack(folder, workspace.packed_folder)
    contract: dict[str, Any] = {
        field: [
            {"name": tensor.name, "dataType": tensor.data_type, "dims": list(tensor.dims)}
            for tensor in _declared(spec, field)
        ]
        for field in ("inputs", "outputs")
    }
    content = {
        "recipe": RECIPE,
        "model": digest_file(workspace.packed_folder).sha256,
        "chip": spec.chip,
        "options": [],
        "format": spec.format,
        "declared": contract,
    }
    for note in notes:
        say(f"note: {note}")
    result = Prepared(**contract, batch_sizes=list(spec.batch_sizes), notes=notes).to_json()
    check_fits(result)
    write_json(workspace.prepared, {**result, "contentInputs": content})
    return result


def pack(folder: Path, target: Path) -> None:
    """The same files make the same bytes, whoever packs them and when."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    target.parent.mkdir(parents=True, exist_ok=True)
    require_space(target.parent, sum(path.stat().st_size for path in files))
    with no_space_explained(target), tarfile.open(target, "w") as archive:
        for path in files:
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size = path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(entry, content)


def _declared(spec: JobSpec, field: str) -> Any:
    return spec.declared_inputs if field == "inputs" else spec.declared_outputs


def _check_names(names: list[str], *, field: str, kind: str) -> None:
    wanted = [f"{kind}_{index}" for index in range(max(len(names), 1))]
    if names != wanted:
        raise invalid(
            f"spec.model.{field} must be named {', '.join(wanted)}, in the order of the graph: "
            "OneFlow's backend knows no other names, so write these"
        )


def _model_folder(folder: Path) -> tuple[Path, list[str]]:
    """Where the model is in what was fetched, and a note where it was looked for."""
    top = folder
    while True:
        entries = sorted(folder.iterdir())
        if len(entries) != 1 or not entries[0].is_dir():
            break
        folder = entries[0]
    if (folder / "config.pbtxt").is_file():
        versions = [path for path in folder.glob("*/model") if path.parent.name.isdigit()]
        if len(versions) != 1 or not any(versions[0].iterdir()):
            raise unsupported(
                f"the source is a model of Triton's repository with {len(versions)} folders "
                f"<version>/model; {WANTED}"
            )
        place = versions[0].relative_to(top)
        return versions[0], [f"took {place}; config.pbtxt and labels are not used"]
    if len(entries) == 1:  # a saved graph has its weights beside it, one file or folder each
        raise unsupported(f"the source is the one file {entries[0].name}; {WANTED}")
    return folder, []
