"""Pictures of sweeps and of runs."""
