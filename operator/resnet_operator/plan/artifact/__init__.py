"""The artifact: converted, harvested, recorded, repaired."""
