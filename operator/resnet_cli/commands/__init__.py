"""One module for each command; `app` says what they are called with."""
