"""Input files, and output files that appear whole or not at all. Only the standard library is used."""
