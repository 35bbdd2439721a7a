"""The hyperparameters of every stage: frozen dataclasses, and the shipped recipes as TOML files."""
