"""A flow as one plain graph: every step of its integration written out, all that depends on time alone looked up."""

import torch
from torch import Tensor, nn

from ..train.flow import Flow, integrate


class UnrolledFlow(nn.Module):
    """Noise (n, d) and the place of a label (n,) -> latents (n, d), in `steps` evaluations of the velocity.

    What time and label say to a block is the same for all latents of a label, and times are known: it is a table, with a
    row for each label, and costs no arithmetic.
    """

    def __init__(self, flow: Flow, steps: int) -> None:
        super().__init__()
        self.flow = flow
        self.steps = steps
        labels = torch.arange(max(flow.labels, 1))
        with torch.no_grad():
            conditions = [flow.condition(torch.full((1,), step / steps), labels) for step in range(steps)]
            tables = [table for one in conditions for block in flow.chain() for table in block.modulation_of(one)]
        self.tables = nn.ParameterList(nn.Parameter(table.contiguous(), requires_grad=False) for table in tables)

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """The latents; a flow without labels takes none."""
        tables = iter(self.tables)  # three for every block in every step

        def velocity(x: Tensor, step: int) -> Tensor:
            hidden = self.flow.input_proj(x)
            for block in self.flow.chain():
                modulation = (next(tables) for _ in range(3))
                looked_up = (one if label is None else torch.index_select(one, 0, label) for one in modulation)
                hidden = block.modulated(hidden, *looked_up)
            return self.flow.exit(hidden)

        return self.flow.unwhiten(integrate(velocity, noise, self.steps))
