"""The version that the library tells."""

from importlib import metadata

import pytest

import katcp_aio
from katcp_aio.version import library_row, library_version


def test_the_package_tells_what_is_installed():
    assert katcp_aio.__version__ == library_version() == metadata.version("katcp-aio")
    assert library_row()[1] == f"katcp-aio-{katcp_aio.__version__}"
    with pytest.raises(AttributeError, match="'katcp_aio' has no attribute 'no_such'"):
        _ = katcp_aio.no_such


def test_sources_that_are_not_installed_have_no_version(monkeypatch):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    library_version.cache_clear()
    monkeypatch.setattr(metadata, "version", version)
    try:
        assert library_row() == ("katcp-aio-0", "katcp-aio-0")
    finally:
        library_version.cache_clear()
