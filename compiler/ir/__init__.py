"""The network between the passes of the compiler."""
