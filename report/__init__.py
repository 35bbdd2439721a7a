"""One HTML page about a model: what it is, what it samples, how good and how fast it is. Needs the extra `plot`."""
