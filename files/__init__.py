"""Input and output files: sources that are read, and outputs that appear whole or not at all. Standard library only."""
