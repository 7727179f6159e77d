"""``python -m benchmarks [PART …] [--against PATH] [--rounds N]`` or ``--guard``."""

import argparse
import sys
from pathlib import Path

from . import comparison, guard
from .processes import Unavailable


def main() -> int:
    """Return the exit code: 1 if a ratio is above its bound, 2 if a needed program is missing."""
    parser = argparse.ArgumentParser("python -m benchmarks", description="Prints costs as tables.")
    names = ", ".join(comparison.PARTS)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {names}; default: all")
    parser.add_argument("--against", type=Path, metavar="PATH", help="another checkout to compare")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement; default: 5")
    parser.add_argument("--guard", action="store_true", help="fail if a ratio exceeds its bound")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(comparison.PARTS):
        parser.error(f"unknown part: {', '.join(sorted(unknown))} (expected {names})")
    if options.against is not None and not Path(options.against, "protocol").is_dir():
        parser.error(f"--against {options.against}: expected a checkout, found no folder protocol")
    if options.rounds < 1:
        parser.error("--rounds: expected 1 or more")
    try:
        if options.guard:
            return 0 if guard.run() else 1
        comparison.run(options.parts or list(comparison.PARTS), options.against, options.rounds)
    except Unavailable as missing:
        print(f"not measured: {missing}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
