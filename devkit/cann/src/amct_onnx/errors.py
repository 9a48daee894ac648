"""What AMCT refuses, in one exception that cli.py prints."""


class AmctError(ValueError):
    """The tool stops with this sentence; `part` is the part of the tool that says it."""

    def __init__(self, part: str, sentence: str) -> None:
        super().__init__(sentence)
        self.part = part
