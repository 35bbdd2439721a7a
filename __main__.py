"""`python -m aegen` is `aegen`."""

from .cli import main

main()
