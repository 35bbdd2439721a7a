"""Data sets for training and evaluation: published sets, whose downloads are verified, and a user's own images."""
