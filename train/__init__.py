"""Training in torch: data -> networks -> objective -> loop -> checkpoint; then a learned prior, then refinement."""

from ..runtime.extras import require_extra

require_extra("train", "train")
