"""What every other package may use: errors, files, progress, environment."""
