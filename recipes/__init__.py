"""The hyperparameters of every training stage: frozen dataclasses, and the shipped recipes as TOML files."""
