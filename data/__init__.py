"""Data sets for training and evaluation: published ones, verified when downloaded, and a user's own images."""
