"""The command lines: what each command is called with. What they do is in `commands`."""
