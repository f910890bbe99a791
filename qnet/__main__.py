"""``python -m qnet``: the command line without its script on the path."""

import sys

from qnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
