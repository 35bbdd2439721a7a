"""Figures from arrays, drawn by matplotlib: latents, training curves, priors, quality. Needs the extra `plot`."""

from ..runtime.threads import limit_spinning

limit_spinning()
