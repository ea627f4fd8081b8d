"""The page in a real Chromium: a song is dropped, heard, mixed and saved, without the keyboard of a programmer."""

import io
import shutil
import time

import pytest

from tests.audio.test_files import read
from tests.helpers.signals import error_db

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def browser():
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, studio):
    context = browser.new_context(locale="en-GB", viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.problems = []
    page.foreign = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda line: page.problems.append(line.text) if line.type == "error" else None)
    page.on("request", lambda request: page.foreign.append(request.url)
            if not request.url.startswith((studio.root, "blob:", "data:")) else None)  # fmt: skip
    page.goto(studio.address)
    yield page
    assert page.problems == []
    assert page.foreign == []
    context.close()


def until(page, condition, seconds=60):
    """Wait for a condition; Playwright's own way needs `eval`, which the page's policy forbids."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(30)


def upload(page, song):
    until(page, "Boolean(window.unweave)")
    page.select_option("#model", "toy")
    page.set_input_files("#file", str(song))
    page.wait_for_selector("#strips .strip", timeout=60_000)


def done(page):
    page.wait_for_selector("#job", state="hidden", timeout=120_000)


def level(page, stem):
    return page.evaluate("stem => window.unweave.player.level(stem)", stem)


def loudest(page, stem):
    page.wait_for_timeout(600)
    return max(level(page, stem) for _ in range(5) if page.wait_for_timeout(60) is None)


def test_a_song_is_heard_muted_soloed_and_saved(page, song, studio, tmp_path):
    upload(page, song)
    done(page)
    page.click("#play")
    until(page, "window.unweave.player.now > 0.5")
    assert loudest(page, "vocals") > 1e-3
    assert loudest(page, "accompaniment") > 1e-3
    page.click("[data-stem=vocals] [data-what=mute]")
    assert loudest(page, "vocals") < 1e-4
    assert page.get_attribute("[data-stem=vocals] [data-what=mute]", "aria-pressed") == "true"
    page.click("[data-stem=vocals] [data-what=mute]")
    page.click("[data-stem=vocals] [data-what=solo]")
    assert loudest(page, "accompaniment") < 1e-4
    assert loudest(page, "vocals") > 1e-3
    page.click("[data-stem=vocals] [data-what=solo]")
    page.fill("[data-stem=vocals] input[data-what=gain]", "-6")
    page.select_option("#format", "flac")
    with page.expect_download() as download:
        page.click("#export-mix")
    saved = tmp_path / "saved.flac"
    download.value.save_as(saved)
    assert "(vocals + accompaniment).flac" in download.value.suggested_filename
    job = studio.get("/api/jobs").json()[0]["id"]
    parts = {
        stem: read(io.BytesIO(studio.get(f"/api/jobs/{job}/mix", params={"solo": stem, "bit_depth": "32f"}).content))
        for stem in ("vocals", "accompaniment")
    }
    assert error_db(read(saved), parts["vocals"] * 10 ** (-6 / 20) + parts["accompaniment"]) < -60


def test_it_plays_while_it_separates(page, long_song):
    upload(page, long_song)
    until(page, "window.unweave.player.job.n_samples > 0")
    assert page.evaluate("window.unweave.player.job.state") == "running"
    page.click("#play")
    until(page, "window.unweave.player.now > 0.3")
    assert loudest(page, "vocals") > 1e-3
    assert "%" in page.inner_text("#progress-text")
    page.click("#cancel")
    until(page, "document.getElementById('progress-text').textContent.startsWith('Cancelled')")
    assert page.is_visible("#retry")


def test_a_reload_in_the_middle_comes_back_to_the_song(page, long_song):
    upload(page, long_song)
    page.reload()
    page.wait_for_selector("#strips .strip", timeout=60_000)
    assert page.inner_text("#song") == "long.wav"
    assert page.evaluate("window.unweave.player.job.state") in ("running", "done")


def test_stems_stay_together_through_seeks_loops_and_rates(page, song):
    upload(page, song)
    done(page)
    page.evaluate("""() => {
        window.starts = [];
        const start = AudioBufferSourceNode.prototype.start;
        AudioBufferSourceNode.prototype.start = function (...given) {
            window.starts.push(given);
            start.apply(this, given);
        };
    }""")
    page.click("#play")
    until(page, "window.unweave.player.now > 0.3")
    page.evaluate("window.unweave.player.seek(3.25)")
    until(page, "window.unweave.player.now > 3.4")
    page.select_option("#rate", "1.5")
    until(page, "window.unweave.player.now > 4.2")
    page.evaluate("() => { window.unweave.player.loop = [1, 1.6]; window.unweave.player.seek(1); }")
    page.wait_for_timeout(1500)
    assert 1 <= page.evaluate("window.unweave.player.now") <= 1.6
    starts = page.evaluate("window.starts")
    assert len(starts) > 10
    for vocals, accompaniment in zip(starts[::2], starts[1::2], strict=True):
        assert vocals == accompaniment  # the same moment, the same place, the same length


def test_the_keyboard(page, song):
    upload(page, song)
    done(page)
    page.focus("h1 img, body")
    page.keyboard.press("Space")
    until(page, "window.unweave.player.isPlaying && window.unweave.player.now > 0.2")
    page.keyboard.press("1")
    assert page.get_attribute("[data-stem=vocals] [data-what=mute]", "aria-pressed") == "true"
    page.keyboard.press("Shift+Digit2")
    assert page.get_attribute("[data-stem=accompaniment] [data-what=solo]", "aria-pressed") == "true"
    page.keyboard.press("ArrowRight")
    assert page.evaluate("window.unweave.player.now") >= 4.9
    page.keyboard.press("Space")
    assert not page.evaluate("window.unweave.player.isPlaying")


def test_presets_spectrogram_history_and_french(page, song):
    upload(page, song)
    done(page)
    page.click("[data-preset=karaoke]")
    assert page.get_attribute("[data-stem=vocals] [data-what=mute]", "aria-pressed") == "true"
    page.click("#view-spectra")
    assert page.locator("#layers .layer").count() == 2
    assert page.locator("#layers .layer").first.evaluate("layer => layer.style.opacity") == "0"
    page.select_option("#language", "fr")
    assert page.inner_text("#drop-title") == "Démêler une chanson"
    assert page.inner_text("[data-preset=karaoke]") == "Karaoké"
    assert page.evaluate("document.documentElement.lang") == "fr"
    page.click("#history li button:last-child")
    page.wait_for_selector("#player", state="hidden")
    until(page, "document.querySelectorAll('#history li').length === 0")
    page.problems[:] = [line for line in page.problems if "404" not in line]  # pictures of what was just deleted


def test_what_is_no_audio_is_said_in_one_line(page, tmp_path):
    until(page, "Boolean(window.unweave)")
    wrong = tmp_path / "wrong.wav"
    wrong.write_bytes(b"PK\3\4 no song")
    page.set_input_files("#file", str(wrong))
    until(page, "document.getElementById('message').textContent.includes('no audio')")
    page.problems.clear()  # the refused request itself


def test_everything_has_a_name_for_screen_readers(page, song):
    upload(page, song)
    done(page)
    nameless = page.evaluate("""() => [...document.querySelectorAll("button, input, select, a, progress, output")]
        .filter((element) => element.offsetParent !== null || element.type === "file")
        .filter((element) => !(element.ariaLabel || element.labels?.length || element.textContent.trim()))
        .map((element) => element.outerHTML)""")
    assert nameless == []


def test_a_phone(browser, studio, song):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(studio.address)
    upload(page, song)
    done(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.tap("[data-stem=vocals] [data-what=mute]")
    assert page.get_attribute("[data-stem=vocals] [data-what=mute]", "aria-pressed") == "true"
    context.close()
