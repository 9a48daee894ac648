"""A share of the requests first: the new revision is watched beside the old one."""
