"""The gate's measurement: what is sent to Triton, compared and reported."""
