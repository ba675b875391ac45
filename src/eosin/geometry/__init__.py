"""Geometry of spots, in µm: neighbours, local frames, spacings, lattices, groups that are held out together."""
