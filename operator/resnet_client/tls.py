"""TLS of both protocols: whom to trust, who we are, and whom we asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_client.contract import ClientError
from resnet_client.failures import unusable

PEM = b"-----BEGIN "


@dataclass(frozen=True)
class Tls:
    """Files in PEM form; without `ca` the system's certificate authorities are trusted.

    `server_name` is what the certificate is for where that is not the host of the URL, as behind a
    forwarded port.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise ClientError("a client's certificate and its key belong together; pass both")


def context_of(tls: Tls, library: Any) -> Any:
    """Return the context of the standard library's ssl, or of a `library` like it."""
    try:
        context = library.create_default_context(cafile=tls.ca)
    except OSError as error:
        raise unusable(error, tls.ca) from error
    if tls.certificate:
        try:
            context.load_cert_chain(tls.certificate, tls.key)
        except OSError as error:
            raise unusable(error, tls.certificate, tls.key) from error
    if tls.server_name:
        _name(context, tls.server_name)
    return context


def credentials_of(tls: Tls) -> tuple[Any, list[tuple[str, Any]] | None]:
    """Return gRPC's credentials, and the arguments of a channel where a name is told."""
    import grpc

    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read(tls.ca),
        private_key=_read(tls.key),
        certificate_chain=_read(tls.certificate),
    )
    named = ("grpc.ssl_target_name_override", "grpc.default_authority")
    arguments = [(option, tls.server_name) for option in named] if tls.server_name else None
    return credentials, arguments


def _name(context: Any, server_name: str) -> None:
    """The libraries name the URL's host to the server, and hold its certificate against that."""
    for method in ("wrap_socket", "wrap_bio"):
        wrap = getattr(context, method)

        def named(*values: Any, _wrap: Any = wrap, **options: Any) -> Any:
            return _wrap(*values, **{**options, "server_hostname": server_name})

        setattr(context, method, named)


def _read(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise unusable(error, path) from error
    if PEM not in content:
        raise ClientError(f"{path}: not usable for TLS (no PEM block in it); pass a PEM file")
    return content
