"""SCNN and EIE on one chip: whole CNNs, from pixels to class."""
