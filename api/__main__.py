"""`python -m api` is the command `countersign`."""

from api.cli import main

main()
