"""Predictions against measured sections, and reading `scores.json`."""
