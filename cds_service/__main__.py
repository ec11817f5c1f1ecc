"""``python -m cds_service`` is the command ``coverage-cds``."""

from cds_service.cli import main

main()
