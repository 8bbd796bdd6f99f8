"""`python -m txlb` is `txlb`, for where the script is not on the path."""

import sys

from txlb.cli import main

sys.exit(main())
