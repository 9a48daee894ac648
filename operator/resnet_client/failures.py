"""What tritonclient, gevent, aiohttp, grpc and OpenSSL raise, as one sentence that says what to do.

They name the same fault in five ways; the last resort is their own words. Pure.
"""

from __future__ import annotations

import re

from resnet_client.contract import ClientError

TRUST = "pass the authority that signed it: Tls(ca=FILE), --ca FILE"
CERTIFICATE = "pass one that it trusts: Tls(certificate=FILE, key=FILE), --cert FILE --key FILE"
# (what one of the libraries writes, what that means, what to do), the most telling first.
KNOWN: tuple[tuple[str, str, str], ...] = (
    (r"Hostname Verification|hostname mismatch|[Hh]ostname .* doesn't match|not valid for '",
     "its certificate is for another host",
     "ask by the name in the certificate, or pass it: Tls(server_name=NAME)"),
    (r"certificate has expired|CERTIFICATE_EXPIRED", "a certificate has expired", "renew it"),
    (r"CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted", TRUST),
    (r"WRONG_VERSION_NUMBER|RECORD_LAYER|PACKET_LENGTH_TOO_LONG", "it does not speak TLS here",
     "leave TLS out, or ask the port of the Ingress"),
    (r"CERTIFICATE_REQUIRED|UNKNOWN_CA|BAD_CERTIFICATE|did not return a certificate",
     "it asks for a certificate of the client", CERTIFICATE),
    (r"Name or service not known|nodename nor servname|DNS resolution failed|getaddrinfo",
     "its name cannot be resolved", "check the host and the cluster's DNS"),
    (r"(?i)timed? ?out|DEADLINE_EXCEEDED|Deadline Exceeded|TimeoutError",
     "it did not answer in time", "ask for fewer pictures, or see `kubectl resnet why`"),
    (r"Socket closed|connection closed|reset by peer|Server disconnected|EOF occurred|Broken pipe",
     "it closed the connection",
     "is TLS wanted there (Tls(), --tls), or a certificate of the client?"),
)  # fmt: skip
SILENT = "is the service Ready, and the port forwarded?"
LONGEST = 300


def explained(error: Exception, *, url: str, model: str, is_known: bool) -> ClientError:
    """`is_known` tells that the model has answered before."""
    if isinstance(error, ClientError):
        return error
    message = getattr(error, "message", None)
    text = _one_line(str(message() if callable(message) else error) or type(error).__name__)
    known = next(((what, do) for mark, what, do in KNOWN if re.search(mark, text)), None)
    if known:
        what, do = known
        return ClientError(f"no answer from {url}: {what}; {do}")
    if "UNAVAILABLE" in str(error) or isinstance(error, OSError):
        return ClientError(f"no answer from {url} ({text}); {SILENT}")
    if not is_known:
        return ClientError(
            f"the server does not serve a model {model!r} ({text}); "
            "see `kubectl get resnetservices`"
        )
    return ClientError(f"the server refused the request: {text}")


def unusable(error: Exception, *files: str | None) -> ClientError:
    """Files of a `Tls` that cannot be read, or are not what they are said to be."""
    named = ", ".join(file for file in files if file)
    reason = _one_line(getattr(error, "strerror", None) or str(error))
    return ClientError(f"{named}: not usable for TLS ({reason}); pass PEM files that can be read")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
