"""The program's door: `python -m snapshotd` and the `snapshotd` command."""

import sys

from snapshotd.cli import commands


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(commands.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
