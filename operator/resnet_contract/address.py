"""Where a file comes from, read from a URI: one small grammar for each scheme.

Called by `order` for the model and by `blocks` for calibration sets and datasets. It guards: a
Job reads every address again, whoever wrote it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from resnet_contract.fields import invalid

# What to write, by scheme: the order is that of the sentence for an unknown scheme.
FORMS = {
    "pvc": "pvc://<claim>/<path>",
    "configmap": "configmap://<name>/<key>",
    "http": "http://<host>/<path>",
    "https": "https://<host>/<path>",
    "s3": "s3://<bucket>/<key>",
    "obs": "obs://<bucket>/<key>",
    "hf": "hf://<org>/<name>/<path>[@<revision>]",
    "modelscope": "modelscope://<org>/<name>/<path>[@<revision>]",
    "oci": "oci://<registry>/<repository>:<tag> or @sha256:<digest>",
}
# The same in one line, for people.
SHOWN = (
    "pvc://<claim>/<path>, configmap://<name>/<key>, http(s)://…, s3://<bucket>/<key>, "
    "obs://<bucket>/<key>, hf://<owner>/<repository>[/<path>][@<revision>], modelscope://… or "
    "oci://<registry>/<repository>:<tag>"
)
MOUNTED_SCHEMES = ("pvc", "configmap")
WEB_SCHEMES = ("http", "https")
BUCKET_SCHEMES = ("s3", "obs")
# In these a path of folders and a file stands behind the first name.
PATH_SCHEMES = (*MOUNTED_SCHEMES, *BUCKET_SCHEMES)
HUB_REVISIONS = {"hf": "main", "modelscope": "master"}
HF_REPOSITORY_KINDS = ("datasets", "spaces")
MODEL_FIELD = "spec.model.uri"


@dataclass(frozen=True)
class SourceSpec:
    """`host` is the claim, ConfigMap, host, bucket, hub repository (org/name) or registry; `path`
    the file in it, empty for a hub's whole repository, for oci the repository. `revision` is a
    hub's branch, tag or commit, or an image's tag or digest; `title` the file of an image with
    several (`oci://…#model.onnx`).
    """

    scheme: str
    uri: str
    host: str
    path: str
    revision: str | None = None
    title: str | None = None

    @property
    def label(self) -> str:
        """The address for people: short, and without its query, which may hold a signature."""
        return shortened(self.uri.split("?", 1)[0].split("#", 1)[0])

    @property
    def name(self) -> str:
        """The file's own name, without folders."""
        if self.scheme == "oci":
            return PurePosixPath(self.title or "").name
        return PurePosixPath(unquote(self.path) if self.is_web else self.path).name

    @property
    def is_hub(self) -> bool:
        return self.scheme in HUB_REVISIONS

    @property
    def is_mounted(self) -> bool:
        return self.scheme in MOUNTED_SCHEMES

    @property
    def is_web(self) -> bool:
        return self.scheme in WEB_SCHEMES

    def sibling(self, name: str) -> SourceSpec:
        """The file `name`, a relative path, in the same folder as this one."""
        if self.scheme == "oci":
            return replace(self, title=str(PurePosixPath(self.title or "").parent / name))
        path = str(PurePosixPath(self.path).parent / (quote(name) if self.is_web else name))
        if self.is_web:
            parts = urlsplit(self.uri)
            uri = urlunsplit(parts._replace(path=path, fragment=""))
        elif self.scheme in HUB_REVISIONS:
            uri = f"{self.scheme}://{self.host}/{path}@{self.revision}"
        else:
            uri = f"{self.scheme}://{self.host}/{path}"
        return replace(self, path=path, uri=uri)


def shortened(address: str) -> str:
    """A URI may have 2048 characters; the sentence around it must stay readable."""
    return address if len(address) <= 100 else f"{address[:48]}…{address[-48:]}"


def parse_source(uri: object, *, field: str = MODEL_FIELD) -> SourceSpec:
    """`InvalidSpec` for an unknown scheme, a user name or password, or a way out of a volume."""
    if not isinstance(uri, str) or not uri:
        raise invalid(f"{field} is missing; write for example pvc://models/resnet50.onnx")
    scheme, separator, _ = uri.partition("://")
    if not separator or scheme not in FORMS:
        raise invalid(f'{field} "{shortened(uri)}" has no supported scheme; write {SHOWN}')
    if "\0" in uri or "\n" in uri or "\r" in uri:
        raise invalid(f"{field} must be one line of text")
    if scheme in WEB_SCHEMES:
        return _web_source(uri, scheme, field)
    if scheme in HUB_REVISIONS:
        return _hub_source(uri, scheme, field, may_be_whole=field == MODEL_FIELD)
    if scheme == "oci":
        return _oci_source(uri, field)
    return _volume_source(uri, scheme, field)


def _volume_source(uri: str, scheme: str, field: str) -> SourceSpec:
    """A claim, a ConfigMap or a bucket, and a path in it. A bucket's key is taken as it is."""
    host, _, path = uri.partition("://")[2].partition("/")
    if "@" in host:
        raise invalid(f"{field} must not hold a user name or password: {scheme}://…")
    if not host or not path.strip("/."):
        raise invalid(f'{field} "{shortened(uri)}" must have the form {FORMS[scheme]}')
    if scheme in BUCKET_SCHEMES:
        return SourceSpec(scheme=scheme, uri=uri, host=host, path=path)
    return SourceSpec(scheme=scheme, uri=uri, host=host, path=_inside(path, uri, field))


def _inside(path: str, uri: str, field: str) -> str:
    """The path without empty segments; ".." is refused."""
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if ".." in segments:
        raise invalid(
            f'{field} "{shortened(uri)}" must not contain "..": write the path from the top'
        )
    return "/".join(segments)


def _web_source(uri: str, scheme: str, field: str) -> SourceSpec:
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise invalid(f"{field} is not a valid address: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise invalid(f"{field} must not hold a user name or password: {scheme}://{host}/…")
    if not host:
        raise invalid(f'{field} "{shortened(uri)}" names no host; write {FORMS[scheme]}')
    return SourceSpec(scheme=scheme, uri=uri, host=host, path=parts.path)


def _hub_source(uri: str, scheme: str, field: str, *, may_be_whole: bool) -> SourceSpec:
    """`org/name/path@revision`; `org/name@revision/path` is understood too, as the hub's own
    library writes it. `hf://datasets/org/name/path` is a repository of data. A repository of a
    model may be named alone.
    """
    segments = _inside(uri.partition("://")[2], uri, field).split("/")
    if "@" in segments[0]:
        raise invalid(f"{field} must not hold a user name or password: {scheme}://…")
    size = 3 if scheme == "hf" and segments[0] in HF_REPOSITORY_KINDS else 2
    may_be_whole = may_be_whole and size == 2
    form = FORMS[scheme].replace("/<path>", "[/<path>]") if may_be_whole else FORMS[scheme]
    if len(segments) < size + (not may_be_whole):
        raise invalid(f'{field} "{shortened(uri)}" must have the form {form}')
    repository, _, revision = "/".join(segments[:size]).partition("@")
    path = "/".join(segments[size:])
    if revision:
        revision = unquote(revision)
    elif "@" in path:
        path, _, revision = path.rpartition("@")
    if not re.fullmatch(r"[\w./-]+", repository) or not (path or may_be_whole):
        raise invalid(f'{field} "{shortened(uri)}" must have the form {form}')
    return SourceSpec(
        scheme=scheme,
        uri=uri,
        host=repository,
        path=path,
        revision=revision or HUB_REVISIONS[scheme],
    )


OCI_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
OCI_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
OCI_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")
OCI_REGISTRY = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?")


def _oci_source(uri: str, field: str) -> SourceSpec:
    rest, _, title = uri.partition("://")[2].partition("#")
    registry, _, image = rest.partition("/")
    if "@" in registry:
        raise invalid(f"{field} must not hold a user name or password: oci://…")
    repository, separator, revision = image.partition("@")
    if separator:
        repository = re.sub(r":[^/:]*$", "", repository)  # repo:tag@digest: the digest counts
        valid = OCI_DIGEST.fullmatch(revision)
    else:
        repository, separator, revision = image.rpartition(":")
        valid = OCI_TAG.fullmatch(revision) if separator else None
    named = OCI_REGISTRY.fullmatch(registry) and OCI_REPOSITORY.fullmatch(repository)
    if not valid or not named:
        raise invalid(
            f'{field} "{shortened(uri)}" must have the form {FORMS["oci"]}, in lower case'
        )
    return SourceSpec(
        scheme="oci",
        uri=uri,
        host=registry,
        path=repository,
        revision=revision,
        title=title or None,
    )
