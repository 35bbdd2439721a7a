"""Open input files, and write output files either completely or not at all. Only the standard library is used."""
