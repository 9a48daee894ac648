"""Words of others as a terminal may show them: containers write the messages that a status repeats.

A termination message may hold sequences that clear a screen, or characters that turn a line around.
Called by `conditions`. Pure.
"""

from __future__ import annotations

import re

OBEYED = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """Return the text with a blank for each character that is obeyed, but line feeds."""
    return text if text.isprintable() else OBEYED.sub(" ", text)
