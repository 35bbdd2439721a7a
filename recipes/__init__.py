"""The hyperparameters of every stage, as frozen dataclasses, and the shipped recipes as TOML files."""
