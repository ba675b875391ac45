"""`python -m eosin`."""

import sys

from eosin.cli import main

sys.exit(main())
