"""Open input files, and write output files completely or not at all. Only the standard library is used."""
