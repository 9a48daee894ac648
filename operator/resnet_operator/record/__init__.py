"""What Jobs reported, as ConfigMaps keep it."""
