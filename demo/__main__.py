"""``python -m demo [VIDEO]``: what ``make demo`` runs."""

import argparse
import sys
from pathlib import Path

from localcloud.cloud import CloudError


def main() -> int:
    """A cloud of its own, one video, its faces, and all gone again."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=main.__doc__)
    parser.add_argument("video", nargs="?", type=Path, help="an H.264 video in .mp4 or .mov (default: a short clip)")
    options = parser.parse_args()
    from demo.run import run  # brings PyAV and OpenCV, which --help need not wait for

    try:
        return run(options.video)
    except CloudError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
