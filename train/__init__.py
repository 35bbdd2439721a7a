"""Training in torch: data -> networks -> objective -> loop -> checkpoint; then the learned prior and refinement."""

from ..runtime.extras import require_extra

require_extra("train", "train")
