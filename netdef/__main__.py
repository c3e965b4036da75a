"""python -m netdef: the command line, where the netdef script is not on the path."""

import sys

from netdef.cli import main

sys.exit(main())
