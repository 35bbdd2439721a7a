"""Export of a checkpoint as an artifact folder, with a check that it computes what the trained network computes."""

from ..runtime.extras import require_extra
from ..runtime.threads import limit_spinning

require_extra("train", "export")
limit_spinning()
