"""How a service is asked: where it is, through a port that is forwarded for it."""
