"""Export: a checkpoint -> an artifact folder, with proof that it computes what was trained."""

from ..runtime.extras import require_extra

require_extra("train", "export")
