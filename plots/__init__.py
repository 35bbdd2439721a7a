"""Figures from arrays, drawn by matplotlib: latents, training curves, priors, quality. Needs the extra `plot`."""
