"""`python3 -m resnet_jobs <command>`: the only place that ends the process.

The container's exit status and termination message are all the operator gets to see, so whatever
happens both are written here: nothing below calls sys.exit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from resnet_contract.fields import OrderError
from resnet_contract.order import JobSpec, parse_job
from resnet_contract.store import StoreSpec, parse_store
from resnet_contract.words import FILE_NAMES
from resnet_jobs.base.clock import SYSTEM_CLOCK
from resnet_jobs.base.errors import EXIT_UNEXPECTED, JobError, Reason, invalid
from resnet_jobs.base.progress import say
from resnet_jobs.base.report import termination_log
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.driver.message import write_message
from resnet_jobs.evaluation.place import Place, end_triton
from resnet_jobs.store.artifact_name import artifact_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LABELS = "labels.txt"
# The reason to give when a command fails in a way nobody foresaw.
UNFORESEEN = {
    "fetch": Reason.DOWNLOAD_FAILED,
    "prepare": Reason.CONVERSION_FAILED,
    "publish": Reason.STORE_UNAVAILABLE,
    "evaluate": Reason.EVALUATION_FAILED,
    "batch": Reason.EVALUATION_FAILED,
    "download": Reason.STORE_UNAVAILABLE,
}

BESIDE_TRITON = ("evaluate", "batch")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)  # as PID 1 the default would be to ignore it
    try:
        payload, exit_code = _outcome(options, os.environ)
        write_message(payload, termination_log(os.environ))
    finally:
        if options.command in BESIDE_TRITON:
            end_triton(os.environ)
    if not payload["ok"]:
        say(f"{payload['reason']}: {payload['message']}")
    return exit_code


def _outcome(
    options: argparse.Namespace, environment: Mapping[str, str]
) -> tuple[dict[str, Any], int]:
    """(termination message, exit status) of the command: never an exception."""
    try:
        return _run(options, environment), 0
    except JobError as error:
        failure = error
    except OrderError as error:
        failure = invalid(str(error))
    except MemoryError:
        failure = JobError(Reason.OUT_OF_MEMORY, _no_memory(options.command))
    except Exception as error:
        traceback.print_exc()
        failure = JobError(
            UNFORESEEN[options.command],
            f"unexpected {type(error).__name__} in {options.command}: {error}",
            detail=traceback.format_exc(),
            exit_code=EXIT_UNEXPECTED,
        )
    return failure.payload(), failure.exit_code


def _no_memory(command: str) -> str:
    if command == "evaluate":
        return "the measurement does not fit into its container's memory: use smaller batchSizes"
    return (
        "the model does not fit into the container's memory: raise "
        "spec.conversion.resources.limits.memory"
    )


def _run(options: argparse.Namespace, environment: Mapping[str, str]) -> dict[str, Any]:
    if options.command == "download":
        return _artifact(options)
    spec = parse_job(environment.get("RESNET_JOB"))
    return _run_step(options.command, spec, Workspace.from_environment(environment))


def _artifact(options: argparse.Namespace) -> dict[str, Any]:
    """What the init container of a serving pod does."""
    from resnet_jobs.commands.download import (
        copy_from_claim,
        download,
        download_from_bucket,
        unpack_artifact,
    )

    if options.files_sha256:
        from resnet_jobs.commands.held_files import hold_files

        hold_files(
            options.files_from,
            options.files_to,
            sha256=options.files_sha256,
            folders=options.folder,
        )
    folder, wait = artifact_folder(os.environ), options.wait_seconds

    def bring(sha256: str, path: Path) -> dict[str, Any]:
        if options.store:
            return download_from_bucket(options.store, sha256, path, wait_seconds=wait)
        if options.claim:
            return copy_from_claim(options.claim, sha256, path)
        return download(options.url, sha256, path, wait_seconds=wait)

    path = folder / options.file
    result = bring(options.sha256, path)
    if options.labels:
        bring(options.labels, folder / LABELS)
    if options.unpack:
        unpack_artifact(path, options.unpack)
    return result


def _run_step(command: str, spec: JobSpec, workspace: Workspace) -> dict[str, Any]:
    """A container of the Job. Each imports what it needs: ONNX Runtime takes a second to load."""
    if command == "fetch":
        from resnet_jobs.commands.fetch import fetch

        return fetch(spec, workspace, clock=SYSTEM_CLOCK)
    if command == "prepare":
        from resnet_jobs.commands.prepare import prepare
        from resnet_jobs.store.known import note_known

        result = prepare(spec, workspace)
        note_known(spec, workspace)
        return result
    if command == "batch":
        from resnet_jobs.batch.share import shard_of, teller
        from resnet_jobs.commands.batch import batch

        place, shard = Place.from_environment(os.environ), shard_of(os.environ)
        told = teller(os.environ)
        return batch(
            spec,
            workspace,
            place,
            shard=shard,
            environment=os.environ,
            clock=SYSTEM_CLOCK,
            told=told,
        )
    from resnet_jobs.store.open import open_store

    if command == "evaluate":
        from resnet_jobs.commands.evaluate import evaluate

        place = Place.from_environment(os.environ)
        store = open_store(spec.store, os.environ, believes=False)
        return evaluate(spec, workspace, place, store=store, clock=SYSTEM_CLOCK)
    from resnet_jobs.commands.publish import publish
    from resnet_jobs.store.sweep import parse_keep

    keep = parse_keep(os.environ.get("RESNET_KEEP"))
    return publish(spec, workspace, store=open_store(spec.store, os.environ), keep=keep)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m resnet_jobs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, text in (
        ("fetch", "bring the model into the Job's scratch volume"),
        ("prepare", "inspect the model and write ATC's command line"),
        ("publish", "put the artifact into the store"),
        ("evaluate", "measure the artifact through the Triton beside it"),
        ("batch", "classify a set of pictures through the Triton beside it"),
    ):
        commands.add_parser(name, help=f"{text} (order in RESNET_JOB)")
    download = commands.add_parser("download", help="get an artifact from the store")
    place = download.add_mutually_exclusive_group(required=True)
    place.add_argument("--url", help="the address of the store server")
    place.add_argument("--store", type=_bucket, help="a bucket, as RESNET_JOB's store describes it")
    place.add_argument("--claim", type=Path, help="where the claim of the store is mounted")
    download.add_argument("--file", required=True, choices=FILE_NAMES, help="what it is called")
    download.add_argument("--wait-seconds", type=float, default=120.0, help="for the store")
    download.add_argument("--sha256", required=True, type=_sha256, help="what it must be")
    download.add_argument("--labels", type=_sha256, help="the names of the classes, a file too")
    download.add_argument("--unpack", type=Path, help="the folder for an artifact that is a tar")
    download.add_argument("--files-from", type=Path, help="where ConfigMaps are mounted")
    download.add_argument("--files-to", type=Path, help="where their files are copied to")
    download.add_argument("--files-sha256", type=_sha256, help="what the files must be together")
    download.add_argument("--folder", action="append", default=[], help="to be made beside them")
    return parser


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError("must be 64 lower-case hexadecimal digits")
    return text


def _bucket(text: str) -> StoreSpec:
    store = parse_store(json.loads(text))  # a ValueError is told by argparse
    if store is None or store.type != "S3":
        raise argparse.ArgumentTypeError("must describe a bucket")
    return store


def _stop(_number: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
