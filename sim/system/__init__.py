"""The system in simulation: memory behind its ports, and how long it all takes."""
