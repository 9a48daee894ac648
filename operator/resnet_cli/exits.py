"""How a command can end: the numbers are promised to scripts, and docs/cli.md lists them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """One way to end; `meaning` is what the page says."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Exit:
        self = int.__new__(cls, value)
        self._value_ = value
        self.meaning = meaning
        return self

    DONE = (0, "Done; of `why`, `check` and `rollout status`: all is well.")
    NOT_WELL = (
        1,
        "`why`, `rollout status`: not Ready. `check`: refused. `render --diff`: differs.",
    )
    USAGE = (2, "The command line cannot be understood.")
    NOT_FOUND = (3, "The object, or what the command needs of it, is not there.")
    FORBIDDEN = (4, "The API server does not allow it; the message names the right.")
    UNREACHABLE = (5, "The kubeconfig cannot be used, or the API server does not answer.")
    NO_ANSWER = (6, "The service did not answer, or refused the request.")
    MISSING_HERE = (7, "Something has to be installed on this machine first.")
    BAD_FILE = (8, "A file cannot be read, or is not what the command takes.")


class CliError(Exception):
    """Ends the command; the text says what is wrong and what to do."""

    def __init__(self, message: str, exit_code: Exit) -> None:
        super().__init__(message)
        self.exit_code = exit_code
