"""Measures of katcp_aio beside aiokatcp: ``python -m benchmarks``. Law: a figure has a command behind it."""
