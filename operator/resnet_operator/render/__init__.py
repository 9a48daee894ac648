"""Desired children from decided values. Pure: templates hold the shape, these modules the logic."""
