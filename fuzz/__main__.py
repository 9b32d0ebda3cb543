"""Run one target under atheris: ``python -m fuzz TARGET [SECONDS] [libFuzzer options]``.

It begins with ``fuzz/corpus/TARGET``, and what it finds new goes to ``fuzz/found/TARGET``; an input that breaks a
promise is left as ``fuzz/crash-TARGET-...``.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["katcp_aio", "fuzz.targets"]):
    from fuzz.targets import TARGETS

_LONGEST = 2000  # bytes of an input
_SLOWEST = 5  # seconds that one input may take


def main() -> None:
    """Fuzz until the time is up."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in TARGETS:
        sys.exit(f"which of {', '.join(TARGETS)}?")
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 75
    here = Path(__file__).parent
    found = here / "found" / name
    found.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST}",
        f"-timeout={_SLOWEST}",
        f"-artifact_prefix={here}/crash-{name}-",
        f"-dict={here / 'katcp.dict'}",
        "-print_final_stats=1",
        *sys.argv[3:],
        str(found),
        str(here / "corpus" / name),
    ]
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
