"""Classifies all pictures of a source, part by part, and picks up what is there already."""
