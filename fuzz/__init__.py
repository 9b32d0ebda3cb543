"""Fuzzing with atheris: ``nox -s fuzz``, or ``python -m fuzz TARGET [SECONDS]``; see docs/explanation/testing.md."""
