"""A chip for integrators: its Verilog behind a bus of others, and what they expect beside it."""
