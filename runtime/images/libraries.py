"""Libraries that are imported where the first file that needs them is met: most runs meet one kind of file."""

from __future__ import annotations

import importlib
from typing import Any

from mvrec_edge.runtime.errors import EnvironmentUnfitError
from mvrec_edge.runtime.installing import install_libraries

__all__ = ["base_library"]


def base_library(name: str) -> Any:
    """Imports a library of the base install.

    Args:
        name: What it is imported and installed by.

    Raises:
        EnvironmentUnfitError: It is not there, or does not load.
    """
    try:
        return importlib.import_module(name)
    except ImportError as reason:
        raise EnvironmentUnfitError(
            f"the library '{name}', which reads this file, does not load: {reason}",
            fix=install_libraries(name, option="--force-reinstall"),
        ) from reason
