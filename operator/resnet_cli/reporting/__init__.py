"""The report of a gate: where its numbers are found, and the page that they become."""
