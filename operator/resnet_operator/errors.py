"""What can go wrong, said by who must act.

OperatorError
├── InvalidSpec   the user must change the spec; no retry until they do
├── Misfit        what somebody else wrote is not of the shape that it should have
└── KubeError     the API server said no
    ├── Transient   network, 429, 5xx: back-off
    │   ├── LoginFailed   401, TLS, credentials that cannot be read: read again, then back-off
    │   ├── NotLeading    another operator leads: nothing was sent
    │   └── Held          the cluster's history went back: nothing was sent
    ├── Conflict    409 of server-side apply: another manager owns a field
    ├── Gone        404: the object is not there (any more)
    └── Rejected    403, 422 …: shown in the status with the server's words
"""

from __future__ import annotations

from resnet_operator.api.reasons import Reason


class OperatorError(Exception):
    """Any error that the operator expects."""


class InvalidSpec(OperatorError):  # noqa: N818 - the word of the condition
    """The user must act; carries the reason and the sentence for the condition."""

    def __init__(self, message: str, reason: Reason = Reason.INVALID_SPEC) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Misfit(OperatorError, ValueError):  # noqa: N818
    """What was read cannot be what its writer meant; the message says what is wrong with it."""


class KubeError(OperatorError):
    """The API server did not do what was asked."""

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.retry_after = retry_after


class Transient(KubeError):  # noqa: N818
    pass


class LoginFailed(Transient):
    """Who we are is not known; never final, because credentials are renewed."""

    def __init__(self, message: str, *, status: int = 401) -> None:
        super().__init__(status, message)


class NotLeading(Transient):
    """A write that was not sent, because another operator may lead by now."""

    def __init__(self) -> None:
        super().__init__(0, "another operator leads")


class Held(Transient):
    """A write that was not sent, because it was decided by what may be lost."""

    def __init__(self) -> None:
        super().__init__(0, "the cluster's history went back, and not all is listed yet")


class Conflict(KubeError):  # noqa: N818
    pass


class Gone(KubeError):  # noqa: N818
    pass


class Rejected(KubeError):  # noqa: N818
    pass
