"""Reports of compiled networks as one HTML file."""
