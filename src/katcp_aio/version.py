"""The version of this library. Law: it is what was installed says; no file of the sources repeats it."""

from __future__ import annotations

import functools
import importlib.metadata

__all__ = ["library_version"]


@functools.cache
def library_version() -> str:
    """Return the installed version, as ``0.2.0`` or ``0.2.1.dev3+g1a2b3c4``; ``0`` where nothing is installed."""
    try:
        return importlib.metadata.version("katcp-aio")
    except importlib.metadata.PackageNotFoundError:
        return "0"
