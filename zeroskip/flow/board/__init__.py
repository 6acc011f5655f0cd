"""From an image to a board's bitstream."""
