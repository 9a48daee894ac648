"""What runs where: runtime, devices and images; and what only some runtimes need."""
