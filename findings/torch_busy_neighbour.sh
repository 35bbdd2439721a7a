#!/usr/bin/env bash
# torch 2.13.0, CPU: on two cores, one other busy process slows a small training with two threads down by far more than
# the core that it takes. At each end of a parallel region the threads of libgomp, which torch's wheel brings, spin for
# milliseconds while the thread that they wait for has no core. GOMP_SPINCOUNT=10000, set before torch is imported,
# avoids it; so does OMP_WAIT_POLICY=PASSIVE.
# Seen: 300 steps of AdamW took SECONDS_DEFAULT s by default and SECONDS_SHORT s with GOMP_SPINCOUNT=10000.
# Exits 0 while the default takes at least three times as long, 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
python3 -c 'while True: pass' >/dev/null 2>&1 &
neighbour=$!
trap 'kill $neighbour; rm -rf "$folder"' EXIT
cores=$(python3 -c 'import os; print(*sorted(os.sched_getaffinity(0))[:2], sep=",")')
taskset -pc "${cores%%,*}" "$neighbour" >/dev/null
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy
cat >"$folder/train.py" <<'PYTHON'
import time

import torch

torch.set_num_threads(2)
torch.manual_seed(0)
layers = [torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64), torch.nn.ReLU(), torch.nn.Linear(64, 784)]
network, images = torch.nn.Sequential(*layers), torch.rand(128, 784)
optimiser = torch.optim.AdamW(network.parameters())


def train(steps):
    began = time.monotonic()
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(network(images), images).backward()
        optimiser.step()
    return time.monotonic() - began


train(10)
print(f"{train(300):.2f}")
PYTHON
by_default=$(env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT taskset -c "$cores" "$folder/venv/bin/python" "$folder/train.py")
with_short_spins=$(env -u OMP_WAIT_POLICY GOMP_SPINCOUNT=10000 taskset -c "$cores" "$folder/venv/bin/python" "$folder/train.py")
echo "300 steps: $by_default s by default, $with_short_spins s with GOMP_SPINCOUNT=10000"
python3 -c "import sys; sys.exit(not $by_default >= 3 * $with_short_spins)"
