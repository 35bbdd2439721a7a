"""Training in torch: data -> networks -> objective -> loop -> checkpoint."""

from ..runtime.extras import require_extra

require_extra("train", "train")
