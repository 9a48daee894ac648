"""The program: which commands there are, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from resnet_cli.exits import CliError, Exit
from resnet_cli.lines import ask, change, look, offline

HELP = "Ask, show and check ResNetServices and ResNetBatches: kubectl resnet COMMAND --help"
app = typer.Typer(
    name="kubectl-resnet",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: dict[str, Callable[..., None]] = {
    "get": look.get,
    "why": look.why,
    "logs": look.logs,
    "predict": ask.predict,
    "bench": ask.bench,
    "top": ask.top,
    "render": offline.render,
    "check": offline.check,
    "convert": offline.convert,
    "report": ask.report,
    "bundle": look.bundle,
    "suspend": change.suspend,
    "resume": change.resume,
}
for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(change.rollout, name="rollout")


def main() -> None:
    """Run the command line; what goes wrong is one line on standard error."""
    try:
        app()
    except CliError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(Exit.DONE)
