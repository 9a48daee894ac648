"""Command lines and files of ATC and AMCT."""
