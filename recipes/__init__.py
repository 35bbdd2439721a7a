"""Recipes: the hyperparameters of each training stage as a frozen dataclass, and TOML files for autoencoders."""
