"""Importing a library that may be missing, or broken in any way."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["import_library"]


def import_library(name: str) -> Any:
    """Imports a module; a folder that an uninstall or an interrupted install left behind is none.

    Args:
        name: The name it is imported by.

    Raises:
        ModuleNotFoundError: It is not there.
        ImportError: There is only a folder of its name.
        Exception: Whatever the module raises while it is imported.
    """
    module = importlib.import_module(name)
    spec = getattr(module, "__spec__", None)
    # Python takes any folder for a package, whatever is in it.
    if spec is not None and spec.origin is None and spec.submodule_search_locations is not None:
        places = ", ".join(str(place) for place in spec.submodule_search_locations)
        raise ImportError(f"there is only a folder of its name, without the library: {places}")
    return module
