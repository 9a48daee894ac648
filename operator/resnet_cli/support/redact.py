"""Takes secrets out of what leaves the machine. Pure.

Three ways, one after the other: fields that may hold one lose their value; the values that were
found there are taken out of all other texts; and what looks like a login goes, wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

GONE = "REDACTED"
SECRET_NAME = re.compile(
    r"token|secret|passw|credential|auth|api_?key|access_?key|private_?key|signature|cookie",
    re.IGNORECASE,
)
# A reference to a Secret is no secret, and the first thing that support asks for.
REFERENCE = re.compile(r"(Ref|Name|Refs)$|^(secret|secretName|automountServiceAccountToken)$")
# A word as short as this stands in too many places to be taken out of them.
LEAST_LENGTH = 6
DROPPED = {"managedFields", "kubectl.kubernetes.io/last-applied-configuration"}
PATTERNS = (
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        GONE,
    ),
    # https://user:password@host, and whatever is signed or keyed in a query.
    (re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s@\"']+@", re.IGNORECASE), rf"\1{GONE}@"),
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s?\"']+)\?[^\s\"'<>]+", re.IGNORECASE), rf"\1?{GONE}"),
    (
        re.compile(
            r"((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic|token)\s+)?[^\s\"',]+",
            re.IGNORECASE,
        ),
        rf"\1{GONE}",
    ),
    (re.compile(r"\b((?:bearer|basic)\s+)[A-Za-z0-9+/._~=-]{8,}", re.IGNORECASE), rf"\1{GONE}"),
    (
        re.compile(
            r"([\w-]*(?:token|secret|passw(?:or)?d|passwd|api[_-]?key|access[_-]?key|signature)[\w-]*"
            r"[\"']?\s*[:=]\s*[\"']?)(?!REDACTED)[^\s\"',;&{}\[\]]+",
            re.IGNORECASE,
        ),
        rf"\1{GONE}",
    ),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), GONE),
    (re.compile(r"\b(?:hf|gh[pousr]|glpat|xox[a-z]|sk)[_-][A-Za-z0-9_-]{10,}"), GONE),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"), GONE),
)


def secrets_of(value: Any) -> set[str]:
    """Return the values that stand where a secret may: in the environment, in fields so named."""
    found: set[str] = set()
    if isinstance(value, dict):
        if isinstance(value.get("value"), str) and SECRET_NAME.search(str(value.get("name", ""))):
            found.add(value["value"])
        for key, item in value.items():
            if _is_secret(key) and isinstance(item, str):
                found.add(item)
            found |= secrets_of(item)
    elif isinstance(value, list):
        for item in value:
            found |= secrets_of(item)
    return {one for one in found if len(one) >= LEAST_LENGTH}


def _is_secret(key: str) -> bool:
    return bool(SECRET_NAME.search(key)) and not REFERENCE.search(key)


def redacted(value: Any, known: Iterable[str]) -> Any:
    """Return a copy of an object without secrets."""
    words = sorted(known, key=len, reverse=True)
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in DROPPED}
        found = {
            key: GONE if _is_secret(key) and isinstance(item, str) else redacted(item, words)
            for key, item in kept.items()
        }
        if isinstance(value.get("value"), str) and SECRET_NAME.search(str(value.get("name", ""))):
            found["value"] = GONE
        return found
    if isinstance(value, list):
        return [redacted(item, words) for item in value]
    return clean(value, words) if isinstance(value, str) else value


def clean(text: str, known: Iterable[str]) -> str:
    """Return a text without secrets: those that are known, and what looks like a login."""
    for word in sorted(known, key=len, reverse=True):
        text = text.replace(word, GONE)
    for pattern, instead in PATTERNS:
        text = pattern.sub(instead, text)
    return text
