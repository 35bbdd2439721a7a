"""Run `aegen train` in several processes: `torchrun --nproc-per-node=2 -m aegen.train --data mnist -o runs/ae`."""

import sys

from ..cli import main

main(["train", *sys.argv[1:]])
