"""The platforms of 10x Genomics: Visium, Visium HD, Xenium, and what their folders have in common."""
