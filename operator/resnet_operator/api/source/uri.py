"""Addresses of files: the rules that all URIs of the spec share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from resnet_contract.address import FORMS, HUB_REVISIONS, PATH_SCHEMES, SHOWN
from resnet_operator.api.rules import Rule, Rules, matches

PORT = (
    r"(:(0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])?)?"
)
REGISTRY = r"([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?"
IMAGE_REPOSITORY = "[a-z0-9]+([._/-]+[a-z0-9]+)*"
IMAGE_VERSION = r"(:\w[-.\w]{0,127})?(@sha256:[0-9a-f]{64})?"
NAME_OR_IPV6 = r"([^/?#:@\[\]\s]+|\[[0-9a-fA-F:.]+\])"


@dataclass(frozen=True)
class UriRule:
    """Of URIs that `of` matches, all of `must` match and none of `never`."""

    message: str
    of: str = ""
    must: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    @property
    def row(self) -> Rule:
        parts = [f"self.matches(r'{pattern}')" for pattern in self.must]
        parts += [f"!self.matches(r'{pattern}')" for pattern in self.never]
        text = " && ".join(parts)
        cel = f"!self.matches('{self.of}') || ({text})" if self.of else text
        return Rule(cel, self.is_broken_by, self.message)

    def is_broken_by(self, uri: str) -> bool:
        if self.of and not matches(self.of, uri):
            return False
        fits = all(matches(pattern, uri) for pattern in self.must)
        return not fits or any(matches(pattern, uri) for pattern in self.never)


HUB = f"^({'|'.join(HUB_REVISIONS)})://"
KNOWN_SCHEME = UriRule(f"write {SHOWN}", must=(f"^({'|'.join(FORMS)})://",))
IN_ONE_LINE = UriRule("write the address in one line", never=(r"[\x00-\x1f\x7f]",))
WITHOUT_LOGIN = UriRule(
    "remove the user and password from the URI; anyone who may read the object could read them",
    never=("^[a-z0-9]+://[^/]*@",),
)
URI_RULES = (
    KNOWN_SCHEME,
    IN_ONE_LINE,
    WITHOUT_LOGIN,
    UriRule(
        "write configmap://<name>/<key>, for example configmap://models/digits.onnx",
        of="^configmap://",
        must=("^configmap://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-._a-zA-Z0-9]+$",),
    ),
    UriRule("remove '..' from the path", never=("/[.][.](/|$)",)),
    UriRule(
        "write the name of the file behind the last '/'; dots alone are none",
        of=f"^({'|'.join(PATH_SCHEMES)})://",
        never=("^[a-z0-9]+://[^/]*/[/.]*$",),
    ),
    UriRule(
        "write the host and the path of the file, without spaces, for example "
        "https://models.example.com/resnet50.onnx",
        of="^https?://",
        must=(r"^https?://[^/?#\s]+/\S+$",),
    ),
    UriRule(
        "write the host as a name or address and the port as a number to 65535, for example "
        "https://models.example.com:8443/resnet50.onnx",
        of=r"^https?://[^/]",
        must=(f"^https?://{NAME_OR_IPV6}{PORT}([/?#]|$)",),
    ),
    UriRule(
        "write the bucket and the key, for example s3://models/resnet50.onnx",
        of="^(s3|obs)://",
        must=(r"^(s3|obs)://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]/.+$",),
    ),
    # The revision may stand after the path or, as the hub's own library writes it, before.
    UriRule(
        "write the owner, the repository and the path of the file, for example "
        "hf://microsoft/resnet-50/model.onnx@main, or of a model's repository no path",
        of=HUB,
        must=(HUB + r"[-.\w]+/[-.\w]+(@[^/@\s]+)?(/[^/@][^@]*(@\S+)?)?$",),
        never=(
            "^hf://(datasets|spaces)/[^/]+(/[^/]+)?$",
            "^[a-z]+://([^/]+/)?[.]+(@[^/]*)?(/|$)",
            "^[a-z]+://[^/]+/[^/]+/[/.]*(@.*)?$",
            "^hf://(datasets|spaces)/[^/]+/[^/]+/[/.]*(@.*)?$",
            "^hf://(datasets|spaces)/[^/]+/[.]*/",
        ),
    ),
    UriRule(
        "write registry, repository and tag or digest, and with several files the file, for "
        "example oci://registry.example.com/models/resnet50:v1#resnet50.onnx",
        of="^oci://",
        must=(
            f"^oci://{REGISTRY}/{IMAGE_REPOSITORY}{IMAGE_VERSION}(#\\S+)?$",
            r"^oci://[^/]+/[^:@#]+[:@]",
        ),
    ),
)
# A hub's repository without a path: the Job finds the model in it.
REPOSITORY = f"{HUB}[^/]+/[^/]+$"
PVC = "^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[^/].*$"
MODEL_RULE = UriRule(
    "write pvc://<claim>/<path to the file>, for example pvc://models/resnet50.onnx",
    of="^pvc://",
    must=(PVC,),
)
FILE_SET_RULE = UriRule(
    "write pvc://<claim>/<folder or archive>, for example pvc://data/cifar100.tar",
    of="^pvc://",
    must=(PVC,),
)

WHOLE_REPOSITORY_RULE = UriRule(
    "write the path of the file behind the repository, for example hf://datasets/o/n/set.tar; "
    "only a model may be named by its repository alone",
    never=(REPOSITORY,),
)


def rules_of(*rules: UriRule) -> Rules:
    return Rules(*(rule.row for rule in rules))


def _readable(uri: str) -> str:
    try:
        urlsplit(uri)
    except ValueError as error:
        # No rule can see every one, an unclosed [ of an IPv6 address for example.
        raise ValueError(f"cannot be read ({error}); correct it") from error
    return uri


ModelUri = Annotated[
    str,
    Field(min_length=1, max_length=2048),
    rules_of(MODEL_RULE, *URI_RULES),
    AfterValidator(_readable),
]
# A set of files: a claim's folder or archive, else an archive.
FileSetUri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        description="Where the files lie: a folder, an archive (.tar, .tar.gz, .tgz, .zip) or one "
        "file; the same schemes as spec.model.uri.",
    ),
    rules_of(FILE_SET_RULE, WHOLE_REPOSITORY_RULE, *URI_RULES),
    AfterValidator(_readable),
]
