"""``python -m unweave``."""

from unweave.cli.main import run

run()
