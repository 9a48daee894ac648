"""What an answer says of the file: how long it is, which part comes, whether it is the same one.

Headers are a stranger's words: numbers are bounded, and what does not fit leads to the whole file
again. Called by `transfer`. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.ASCII)
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Version:
    """Of a file, as its server tells one from the next."""

    tag: str = ""
    modified: str = ""
    size: int | None = None

    @property
    def validator(self) -> str:
        """What If-Range may name: a strong tag or a date; without one the rest could be of a newer
        file.
        """
        return self.tag if self.tag.startswith('"') else self.modified

    def may_be(self, other: Version) -> bool:
        """Whether nothing says that the other is another one; what is not said says nothing."""
        pairs = zip(
            (self.tag, self.modified, self.size),
            (other.tag, other.modified, other.size),
            strict=True,
        )
        return all(ours == theirs for ours, theirs in pairs if ours and theirs)


@dataclass(frozen=True)
class Part:
    """The bytes of a 206, the last one included; the size of the whole where it is said."""

    first: int
    last: int
    size: int | None


def part_of(headers: Mapping[str, str]) -> Part | None:
    """The one range of the answer, None where it has several or says none."""
    found = RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if found is None:
        return None
    first, last = int(found[1]), int(found[2])
    size = None if found[3] == "*" else int(found[3])
    return Part(first, last, size) if first <= last and (size is None or last < size) else None


def length_of(headers: Mapping[str, str]) -> int | None:
    """Content-Length, None for anything but a number that a file can have, and beside chunks."""
    if "Transfer-Encoding" in headers:
        return None
    text = headers.get("Content-Length", "").strip()
    return int(text) if re.fullmatch("[0-9]{1,19}", text, re.ASCII) else None


def version_of(headers: Mapping[str, str], size: int | None) -> Version:
    """Of the whole file, whose size a part says, too."""
    return Version(headers.get("ETag", ""), headers.get("Last-Modified", ""), size)


def pause_of(headers: Mapping[str, str]) -> float:
    """Seconds that Retry-After asks for, where it is no more than a minute: whoever asks for more
    is asked again by another Job. A date counts from the answer's own.
    """
    pause = _seconds(headers)
    return pause if pause <= LONGEST_PAUSE else 0.0


def _seconds(headers: Mapping[str, str]) -> float:
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]{1,9}", text, re.ASCII):
        return float(text)
    until, now = _date(text), _date(headers.get("Date", ""))
    if until is None or now is None:
        return 0.0
    return max((until - now).total_seconds(), 0.0)


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else None
