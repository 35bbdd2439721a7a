"""Export of trained networks as an artifact folder, with a check that it computes what the networks compute.

    from aegen.export import ExportOptions, export_modules

The names are imported when they are first used (PEP 562), so that the modules of this folder can be imported alone.
"""

from typing import TYPE_CHECKING, Any

from ..runtime.extras import require_extra
from ..runtime.threads import limit_spinning

if TYPE_CHECKING:
    from .modules import export_modules
    from .options import ExportOptions

__all__ = ["ExportOptions", "export_modules"]


def __getattr__(name: str) -> Any:
    if name == "export_modules":
        from .modules import export_modules

        return export_modules
    if name == "ExportOptions":
        from .options import ExportOptions

        return ExportOptions
    raise AttributeError(f"module 'aegen.export' has no attribute {name!r}")


require_extra("train", "export")
limit_spinning()
