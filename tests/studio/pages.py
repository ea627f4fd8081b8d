"""What tests do with the studio's page in a browser; its fixtures are in conftest."""

from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.studio import conftest

PATIENCE = 1000 * conftest.PATIENCE_SECONDS
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
needs_axe = pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: make web-libraries")
# The page as it is when a song was just separated.
RESET = """() => {
    const { player, strips } = window.unweave;
    player.pause();
    Object.assign(player, { loop: null, rate: 1, semitones: 0, position: 0 });
    for (const id of ["rate", "transpose"]) document.getElementById(id).value = id === "rate" ? "1" : "0";
    document.querySelector("[data-preset=all]").click();
    strips.zoom(1 / 32, 0);
}"""


@contextmanager
def opened(browser, studio, locale="en-GB"):
    """The studio's page, which must raise no error and ask nobody else."""
    context = browser.new_context(locale=locale, viewport={"width": 1200, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.problems = []
    page.foreign = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda line: page.problems.append(line.text) if line.type == "error" else None)
    page.on("request", lambda request: page.foreign.append(request.url)
            if not request.url.startswith((studio.root, "blob:", "data:")) else None)  # fmt: skip
    page.goto(studio.address)
    until(page, "Boolean(window.unweave)")
    yield page
    assert page.problems == []
    assert page.foreign == []
    context.close()


def until(page, condition):
    """Wait for a condition; Playwright's own way needs `eval`, which the page's policy forbids."""
    conftest.until(lambda: page.evaluate(condition) or page.wait_for_timeout(10), condition)


def delete(page, name):
    """Delete the first song called ``name``; both presses at once, since the list may be built anew in between."""
    button = page.get_by_role("button", name=f"Delete: {name}").first
    button.evaluate("(button) => { button.click(); button.click(); }")


def upload(page, song):
    page.select_option("#model", "toy")
    page.set_input_files("#file", str(song))
    page.wait_for_selector("#strips .strip")


def done(page):
    page.wait_for_selector("#job", state="hidden")


def play_for_ever(page):
    """Play the six seconds round and round, so that nothing depends on how long the rest of a test takes."""
    page.evaluate("window.unweave.player.loop = [0, 5.5]")
    page.click("#play")
    until(page, "window.unweave.player.isPlaying && window.unweave.player.now > 0.1")


def becomes_loud(page, stem):
    until(page, f"window.unweave.player.level('{stem}') > 1e-3")


def becomes_silent(page, stem):
    until(page, f"window.unweave.player.level('{stem}') < 1e-4")


def press(page, stem, what):
    page.click(f"[data-stem={stem}] [data-what={what}]")


def nameless(page):
    """What a screen reader could not name, of all that can be used."""
    return page.evaluate("""() => [...document.querySelectorAll("button, input, select, a, progress, output")]
        .filter((element) => element.offsetParent !== null || element.type === "file")
        .filter((element) => !(element.ariaLabel || element.labels?.length || element.textContent.trim()))
        .map((element) => element.outerHTML)""")


@contextmanager
def expected_problems(page, *parts):
    """Inside, the console may complain of what contains one of ``parts``, and must complain at least once."""
    before = len(page.problems)
    yield
    found = page.problems[before:]
    assert found
    assert all(any(part in line for part in parts) for line in found), found
    del page.problems[before:]


def forgive(page, part):
    """What the console has complained of so far, and contains ``part``, was perhaps to be expected."""
    page.problems[:] = [line for line in page.problems if part not in line]


def state(page, expression):
    """A value in the page, of its player (``player``) or its waveforms (``strips``)."""
    return page.evaluate(f"(({{ player, strips }}) => {expression})(window.unweave)")


def turns(page, expression):
    """Wait until an expression of `state` is true."""
    until(page, f"(({{ player, strips }}) => Boolean({expression}))(window.unweave)")


def violations(page):
    """What axe-core finds serious or critical: the rule, and the first elements that break it."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document).then(({ violations }) => violations)")
    return [
        (each["id"], [node["html"] for node in each["nodes"][:3]])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
