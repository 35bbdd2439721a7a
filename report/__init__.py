"""An HTML page about a model: its facts, samples, quality and speed. Needs the extra `plot`."""
