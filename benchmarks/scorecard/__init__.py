"""How devices bear abuse and loss: ``python -m benchmarks.scorecard``. Law: a pass is measured, or not claimed."""
