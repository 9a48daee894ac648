"""What others wrote, made safe for the terminal of who reads it. Pure."""

from __future__ import annotations

# A terminal obeys these; they come from whoever wrote a log line, a label or a message. New lines
# and tabs only move the text.
CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"
}
# These turn the order of what follows round.
CONTROLS |= {
    code: f"\\u{code:04x}"
    for code in (0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


def harmless(text: str) -> str:
    """Return text of others so that a terminal shows it, and does nothing else."""
    return text.replace("\r\n", "\n").translate(CONTROLS)
