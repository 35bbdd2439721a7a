"""`torchrun --nproc-per-node=2 -m aegen.train --data mnist -o runs/ae`: `aegen train` in several processes."""

import sys

from ..cli import main

main(["train", *sys.argv[1:]])
