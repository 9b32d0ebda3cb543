"""The version of this library. Law: it is what was installed says; no file of the sources repeats it."""

from __future__ import annotations

import functools

__all__ = ["library_row", "library_version"]


@functools.cache
def library_version() -> str:
    """Return the installed version, as ``0.2.0`` or ``0.2.1.dev3+g1a2b3c4``; ``0`` where nothing is installed."""
    from importlib import metadata  # noqa: PLC0415 - 20 ms that a program which tells nobody its version need not pay

    try:
        return metadata.version("katcp-aio")
    except metadata.PackageNotFoundError:
        return "0"


def library_row() -> tuple[str, str]:
    """Return version and build state as ``#version-connect katcp-library`` tells them (5.1, section 4.2)."""
    version = library_version()
    return f"katcp-aio-{'.'.join(version.split('.')[:2])}", f"katcp-aio-{version}"
