"""The system in simulation: golden, memory behind its ports, and how long it all takes."""
