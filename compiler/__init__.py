"""Compiler: from a PyTorch network to an image. Works without torch on ``.pt2`` files."""
