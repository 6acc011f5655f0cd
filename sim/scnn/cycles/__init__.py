"""How long the SCNN array takes, cycle for cycle as its RTL."""
