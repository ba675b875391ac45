"""Programs made of the verbs: the demo, the check of a machine, the adapter for LazySlide."""
