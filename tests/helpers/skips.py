"""Where CI is set, a test that is skipped for lack of something has failed: two hooks of pytest.

A program or package that is missing on the machine that decides would let tests vanish without a word. Only what no
installation can give, another system or a right that a container withholds, may be skipped there.
"""

import os
import re

import pytest

ALLOWED = re.compile(
    r"not glibc|reads /proc|signals|locks|needs the right to mount|cannot fork|no forks|names that are not Unicode"
    r"|permissions are POSIX's|rounding errors|only on (Windows|macOS|Linux)|not on (Windows|macOS|Linux)"
)


def refused(longrepr):
    """What to report of a skip, given its ``longrepr`` (path, line, reason), if it is a failure; None if it is not."""
    reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    if os.environ.get("CI", "false").lower() in ("", "0", "false") or ALLOWED.search(reason):
        return None
    return f"{reason}\nThis is a failure because CI is set: install what is missing (tests/helpers/skips.py)."


def _fail(report):
    if report.skipped and not hasattr(report, "wasxfail") and (text := refused(report.longrepr)) is not None:
        report.outcome, report.longrepr = "failed", text
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return _fail((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return _fail((yield))
