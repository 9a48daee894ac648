"""All that fetch needs to reach a source: credentials, connections, endpoints.

Made once by `fetch` from the container's environment; handed to each kind of source.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resnet_jobs.net.addresses import AddressGuard
from resnet_jobs.net.guarded import NO_CERTIFICATES, Web
from resnet_jobs.net.proxies import Proxies
from resnet_jobs.sources.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

CREDENTIALS_FOLDER = "/credentials"
CA_FILE = "/ca/ca.crt"


@dataclass(frozen=True)
class Access:
    """`settings` is the environment: endpoints and regions that the operator set."""

    credentials: Credentials
    web: Web
    settings: Mapping[str, str]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Access:
        """RESNET_CREDENTIALS, RESNET_CA_FILE and RESNET_ALLOWED_ADDRESSES are for tests."""
        return cls.read(
            environment,
            credentials=Path(environment.get("RESNET_CREDENTIALS") or CREDENTIALS_FOLDER),
            ca_file=Path(environment.get("RESNET_CA_FILE") or CA_FILE),
        )

    @classmethod
    def read(
        cls,
        environment: Mapping[str, str],
        *,
        credentials: Path,
        ca_file: Path,
        advice: str = NO_CERTIFICATES,
        **words: str,
    ) -> Access:
        """`advice` and `words` are for sentences of other fields than the model's."""
        allowed = environment.get("RESNET_ALLOWED_ADDRESSES", "")
        return cls(
            credentials=Credentials.read(credentials),
            web=Web(
                guard=AddressGuard.from_text(allowed, **words),
                proxies=Proxies.from_environment(environment),
                ca_file=ca_file if ca_file.exists() else None,
                advice=advice,
            ),
            settings=environment,
        )

    def setting(self, *names: str) -> str | None:
        """The first that is set: in the Secret, or else by the operator."""
        for name in names:
            value = self.credentials.get(name) or self.settings.get(name)
            if value:
                return value.strip()
        return None
