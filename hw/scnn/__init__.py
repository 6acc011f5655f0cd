"""SCNN: sparse convolution by Cartesian products (Parashar et al., ISCA 2017)."""
