"""Training in torch: data -> networks -> objective -> training loop -> checkpoint.

Afterwards, a prior of the latents can be learned, and prior and decoder can be refined together.
"""

from ..runtime.extras import require_extra
from ..runtime.threads import limit_spinning

require_extra("train", "train")
limit_spinning()
