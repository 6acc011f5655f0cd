"""Convolutions to programs and SRAM contents of the SCNN array."""
