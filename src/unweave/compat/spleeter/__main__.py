"""``python -m unweave.compat.spleeter``: the original's command, where people wrote ``python -m spleeter``."""

import runpy

if __name__ == "__main__":
    # By name: an entry point stands above the commands, its package below them.
    runpy.run_module("unweave.cli.spleeter", run_name="__main__")
