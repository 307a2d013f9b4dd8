#!/usr/bin/env python3
"""The second verifier of bundles of evidence (docs/evidence-format.md). This copy checks nothing yet and says so."""

import sys


def main() -> int:
    """Exit code 2: indeterminate."""
    print("This copy of verify_evidence.py checks nothing. Take another one, or use: countersign verify BUNDLE.zip --policy policy.txt")
    return 2


if __name__ == "__main__":
    sys.exit(main())
