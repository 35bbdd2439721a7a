"""Files that appear whole or not at all, and sources that are read: the standard library alone."""
