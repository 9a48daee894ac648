"""The way to the API server: who we are, what is seen there, and what is done."""
