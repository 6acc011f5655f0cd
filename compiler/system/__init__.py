"""Memory images of networks: weights, tensors and command lists for one START an inference."""
