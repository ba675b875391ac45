"""Parts of encoders: networks, weights and their names, pooling, statistics, cards, specs."""
