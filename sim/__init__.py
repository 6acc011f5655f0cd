"""Run compiled images: on the golden model, the cycle models, and the RTL under Verilator."""
