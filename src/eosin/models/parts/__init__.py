"""What models are made of: scales, attention, flows, bases, chunks."""
