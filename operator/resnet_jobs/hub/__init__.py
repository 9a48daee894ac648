"""Repositories of model hubs: what is in one, at which commit, and which of its files is meant."""
