"""The system around the engines: memory ports, DMA, command list."""
