"""What Jobs and serving pods report: their messages, and facts of a publisher that are in them."""
