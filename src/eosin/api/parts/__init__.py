"""What the verbs share: paths or records become sections, with their features and small images."""
