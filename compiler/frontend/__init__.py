"""Front ends: from PyTorch networks to the intermediate representation."""
