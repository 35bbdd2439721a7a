"""Figures from arrays, drawn by matplotlib, of latents, training curves, priors and quality. Needs the extra `plot`."""

from ..runtime.threads import limit_spinning

limit_spinning()
