"""The page in a real Chromium: a song is dropped, heard, mixed and saved, without the keyboard of a programmer."""

import io
import re
import time

import pytest

from tests.audio.test_files import read, write
from tests.helpers import dawproject
from tests.helpers.signals import error_db, tones
from tests.studio import conftest
from tests.studio.pages import (
    PATIENCE,
    becomes_loud,
    becomes_silent,
    done,
    forgive,
    nameless,
    opened,
    play_for_ever,
    press,
    until,
    upload,
)
from unweave.studio.refusals import REFUSALS
from unweave.studio.web.export import WEB_PAGE


@pytest.fixture
def page(browser, studio):
    with opened(browser, studio) as page:
        yield page


def test_a_song_is_heard_muted_soloed_and_saved(page, song, studio, tmp_path):
    upload(page, song)
    done(page)
    play_for_ever(page)
    becomes_loud(page, "vocals")
    becomes_loud(page, "accompaniment")
    press(page, "vocals", "mute")
    becomes_silent(page, "vocals")
    becomes_loud(page, "accompaniment")
    assert page.get_attribute("[data-stem=vocals] [data-what=mute]", "aria-pressed") == "true"
    press(page, "vocals", "mute")
    press(page, "vocals", "solo")
    becomes_silent(page, "accompaniment")
    becomes_loud(page, "vocals")
    press(page, "vocals", "solo")
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


def test_a_song_is_taken_to_a_daw_as_it_is_mixed(page, song, tmp_path):
    upload(page, song)
    done(page)
    page.fill("[data-stem=vocals] input[data-what=gain]", "-6")
    press(page, "accompaniment", "mute")
    with page.expect_download() as download:
        page.click("#export-dawproject")
    assert download.value.suggested_filename == "Étude n_ 1.dawproject"
    download.value.save_as(tmp_path / "song.dawproject")
    tracks, *_ = dawproject.read(tmp_path / "song.dawproject", tmp_path)
    assert [(track.name, round(track.gain, 3), track.is_muted) for track in tracks] == [
        ("vocals", 0.501, False),
        ("accompaniment", 1.0, True),
    ]
    page.select_option("#language", "fr")
    assert page.inner_text("#export-rpp") == "Projet pour REAPER (zip)"
    assert "format=rpp" in page.get_attribute("#export-rpp", "href")


def test_it_plays_while_it_separates(held_page, song):
    upload(held_page, song)
    until(held_page, "window.unweave.player.job.n_samples > 0")
    held_page.click("#play")
    until(held_page, "window.unweave.player.now > 0.3")
    becomes_loud_once = "window.unweave.player.isPlaying && window.unweave.player.job.state === 'running'"
    until(held_page, becomes_loud_once)
    assert re.search(r"Separating \d+%", held_page.inner_text("#progress-text"))
    held_page.click("#cancel")
    until(held_page, "document.getElementById('progress-text').textContent.startsWith('Cancelled')")
    assert held_page.is_visible("#retry")


def test_a_reload_in_the_middle_comes_back_to_the_song(held_page, held_studio, song):
    upload(held_page, song)
    held_page.reload()
    held_page.wait_for_selector("#strips .strip")
    assert held_page.inner_text("#song") == song.name
    assert held_page.evaluate("window.unweave.player.job.state") == "running"
    held_studio.release()
    done(held_page)


def test_stems_stay_together_through_seeks_and_loops(page, song):
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
    page.evaluate("window.unweave.player.loop = [0, 5.5]")
    page.click("#play")
    until(page, "window.starts.length >= 4")
    page.evaluate("window.starts.seeked = window.starts.length, window.unweave.player.seek(3.25)")
    until(page, "window.starts.length >= window.starts.seeked + 4")
    assert page.evaluate("window.starts[window.starts.seeked][1]") == 0.25  # into the fourth second's piece
    page.evaluate("() => { window.unweave.player.loop = [1, 1.6]; window.unweave.player.seek(1); }")
    page.evaluate("window.starts.seeked = window.starts.length")
    until(page, "window.starts.length >= window.starts.seeked + 8")
    assert 1 <= page.evaluate("window.unweave.player.now") <= 1.6
    starts = page.evaluate("[...window.starts]")
    for vocals, accompaniment in zip(starts[::2], starts[1::2], strict=False):
        assert vocals == accompaniment  # the same moment, the same place, the same length


@pytest.mark.parametrize("rates", [(48000, 22050), (44100, 8000, 96000)])
def test_audio_is_played_at_the_songs_own_rate(page, tmp_path, rates):
    """Pieces that the browser resamples one by one do not join; another song may need another rate."""
    for rate in rates:
        song = write(tmp_path / "songs" / f"{rate}.wav", tones(2 * rate, rate), sample_rate=rate)
        page.set_input_files("#file", str(song))
        until(page, f"document.getElementById('song').textContent === '{song.name}'")
        done(page)
        page.evaluate("window.unweave.player.loop = [0, 1.5]")
        page.click("#play")
        until(page, "window.unweave.player.isPlaying && window.unweave.player.now > 0.1")
        becomes_loud(page, "vocals")
        assert page.evaluate("window.unweave.player.context.sampleRate") == rate


def test_the_keyboard(page, song):
    upload(page, song)
    done(page)
    page.evaluate("window.unweave.player.loop = [0, 5.5]")
    page.focus("h1 img, body")
    page.keyboard.press("Space")
    until(page, "window.unweave.player.isPlaying && window.unweave.player.now > 0.2")
    page.keyboard.press("Space")
    assert not page.evaluate("window.unweave.player.isPlaying")
    page.keyboard.press("1")
    assert page.get_attribute("[data-stem=vocals] [data-what=mute]", "aria-pressed") == "true"
    page.keyboard.press("Shift+Digit2")
    assert page.get_attribute("[data-stem=accompaniment] [data-what=solo]", "aria-pressed") == "true"
    before = page.evaluate("window.unweave.player.now")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("window.unweave.player.now") == pytest.approx(min(before + 5, 6))
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("window.unweave.player.now") == pytest.approx(min(before + 5, 6) - 5)
    # A fader that was moved with the mouse has the focus: it takes the arrows, and nothing else.
    page.focus("[data-stem=vocals] input[data-what=gain]")
    page.keyboard.press("ArrowLeft")
    assert page.input_value("[data-stem=vocals] input[data-what=gain]") == "-0.5"
    assert page.evaluate("window.unweave.player.now") == pytest.approx(min(before + 5, 6) - 5)
    page.keyboard.press("1")
    assert page.get_attribute("[data-stem=vocals] [data-what=mute]", "aria-pressed") == "false"
    page.keyboard.press("Space")
    assert page.evaluate("window.unweave.player.isPlaying")


def test_presets_spectrogram_history_and_french(page, song):
    upload(page, song)
    done(page)
    page.click("[data-preset=karaoke]")
    assert page.get_attribute("[data-stem=vocals] [data-what=mute]", "aria-pressed") == "true"
    page.click("#view-spectra")
    assert page.locator("#layers .layer").count() == 2
    assert page.locator("#layers .layer").first.evaluate("layer => layer.style.opacity") == "0"
    page.select_option("#language", "fr")
    assert page.inner_text("#drop-title") == "Séparer les pistes d’un morceau"
    assert page.inner_text("[data-preset=karaoke]") == "Karaoké"
    assert page.evaluate("document.documentElement.lang") == "fr"
    assert page.get_attribute("#seek", "aria-label") == "Position"
    assert page.get_attribute("#presets", "aria-label") == "Préréglages"
    page.locator("#history li button:last-child").evaluate("(button) => { button.click(); button.click(); }")
    page.wait_for_selector("#player", state="hidden")
    until(page, "document.querySelectorAll('#history li').length === 0")
    forgive(page, "404")  # pictures of what was just deleted


def test_models_are_offered_by_what_they_are_for(page, toy_model):
    options = page.evaluate("[...document.getElementById('model').options].map(({ value, text }) => [value, text])")
    assert [value for value, _ in options[:4]] == ["spleeter:2stems", "unweave:4stems", "unweave:5stems", "htdemucs"]
    texts = dict(options)
    assert texts["spleeter:2stems"] == "Voice and music – download: 79 MB"
    assert texts["unweave:4stems"] == "Four stems: voice, drums, bass, other"
    assert texts["htdemucs"] == "Best sound (slow) – download: 174 MB"
    more = page.evaluate("[...document.querySelectorAll('#model optgroup option')].map(({ value }) => value)")
    assert {"toy", "spleeter:5stems-16kHz", "unweave:4stems-cascade"} <= set(more)
    page.select_option("#model", "spleeter:2stems")
    assert page.inner_text("#licence") == (
        "Very fast, good sound. For when you only need the voice, or the song without it. "
        "Free for any use (MIT licence). 79 MB will be downloaded before the first song."
    )
    page.select_option("#language", "fr")
    assert page.input_value("#model") == "spleeter:2stems"
    assert page.inner_text("#licence").endswith("79 Mo seront téléchargés avant le premier morceau.")


def test_speed_is_what_was_measured_here(page, song):
    upload(page, song)
    done(page)
    page.reload()
    until(page, "Boolean(window.unweave)")
    page.select_option("#model", "toy")
    assert "On this machine, " in page.inner_text("#licence")


def test_a_licence_is_accepted_before_the_upload(page, song, studio):
    assert page.is_hidden("#consent-row")
    page.select_option("#model", "htdemucs")
    assert page.is_visible("#consent-row")
    page.set_input_files("#file", str(song))
    until(page, "document.getElementById('message').textContent.includes('Please confirm')")
    assert studio.get("/api/jobs").json() == []
    page.select_option("#language", "fr")
    page.set_input_files("#file", str(song))
    until(page, "document.getElementById('message').textContent.includes('Veuillez confirmer')")
    page.problems.clear()  # the refused requests themselves


def codes_of_the_web_edition():
    """What the page refuses where there is no server."""
    scripts = "".join(path.read_text(encoding="utf-8") for path in WEB_PAGE.glob("*.js"))
    codes = set(re.findall(r'refused\("(\w+)"', scripts))
    assert {"no_audio", "no_memory", "no_storage"} < codes
    return codes


def test_every_text_is_there_in_both_languages(page):
    words, refusals = page.evaluate("import('/words.js').then(({ WORDS, REFUSALS }) => [WORDS, REFUSALS])")
    assert words["en"].keys() == words["fr"].keys()
    assert refusals["en"].keys() == refusals["fr"].keys() == REFUSALS.keys() | codes_of_the_web_edition()
    as_the_page = {code: sentence.replace("'", "’") for code, (_, sentence) in REFUSALS.items()}
    assert refusals["en"] == refusals["en"] | as_the_page
    for english, french in ((words["en"], words["fr"]), (refusals["en"], refusals["fr"])):
        for key, text in english.items():
            assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", french[key])), key
    for code, (_, sentence) in REFUSALS.items():
        assert refusals["en"][code].replace("’", "'") == sentence, code
    page.select_option("#language", "fr")
    assert page.text_content("#practice summary") == "Travailler\u202f: repères, tempo, clic"
    assert not re.search(" [:;!?»]|« ", page.text_content("main"))  # no line begins with these, or ends
    named = page.evaluate("""() => [...document.querySelectorAll("[data-text], [data-label]")]
        .flatMap(({ dataset }) => [dataset.text, dataset.label]).filter(Boolean)""")
    assert set(named) <= words["en"].keys()


def test_what_is_no_audio_is_said_in_one_line(page, tmp_path):
    wrong = tmp_path / "wrong.wav"
    wrong.write_bytes(b"PK\3\4 no song")
    page.set_input_files("#file", str(wrong))
    until(page, f"document.getElementById('message').textContent === {REFUSALS['archive'][1]!r}")
    page.select_option("#language", "fr")
    page.set_input_files("#file", str(wrong))
    until(page, "document.getElementById('message').textContent.startsWith('Ce fichier est une archive. Veuillez')")
    page.problems.clear()  # the refused requests themselves


def test_a_folder_is_no_song(page, tmp_path):
    (tmp_path / "album").mkdir()
    session = page.context.new_cdp_session(page)
    place = {"x": page.locator("#drop").bounding_box()["x"] + 20, "y": page.locator("#drop").bounding_box()["y"] + 20}
    files = {"items": [], "files": [str(tmp_path / "album")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": files})
    until(
        page, "document.getElementById('message').textContent.startsWith('This file cannot be read. If it is a folder')"
    )


def test_half_a_song_is_separated_and_said_to_be_half(page, tmp_path):
    whole = write(tmp_path / "whole.flac", tones(44100 * 4))
    half = tmp_path / "half.flac"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for path, is_said in ((half, True), (whole, False)):
        upload(page, path)
        until(page, f"document.getElementById('song').textContent.startsWith({path.stem!r})")
        done(page)
        assert page.is_visible("#incomplete") == is_said


def test_a_server_that_is_gone_is_said_so(page, studio, song):
    studio.stop()
    page.set_input_files("#file", str(song))
    until(page, "document.getElementById('message').textContent.startsWith('The server is not responding')")
    page.problems.clear()  # the failed requests themselves


def test_sound_that_cannot_be_had_is_asked_for_now_and_then(page, studio, song):
    upload(page, song)
    done(page)
    asked = []
    page.on("request", lambda request: asked.append(time.monotonic()) if "vocals/samples" in request.url else None)
    page.route("**/samples*", lambda route: route.abort())
    page.click("#play")
    until(page, "document.getElementById('play').ariaLabel === 'Pause'")
    conftest.until(lambda: len(asked) > 1 or page.wait_for_timeout(10))
    assert asked[1] - asked[0] > 0.3
    page.unroute("**/samples*")
    until(page, "window.unweave.player.now > 0.1")
    page.evaluate("window.unweave.player.pause()")
    page.problems.clear()  # the failed requests themselves


def test_a_song_that_is_deleted_elsewhere_is_said_to_be(page, studio, song):
    upload(page, song)
    done(page)
    page.click("#play")
    until(page, "window.unweave.player.now > 0.1")
    page.evaluate("fetch(`/api/jobs/${location.hash.slice(1)}`, { method: 'DELETE' })")
    page.evaluate("window.unweave.player.pieces.clear()")
    page.evaluate("window.unweave.player.seek(0)")
    until(page, "document.getElementById('message').textContent.startsWith('This song does not exist')")
    assert page.evaluate("document.getElementById('player').hidden")
    assert not page.evaluate("window.unweave.player.isPlaying")
    until(page, "document.querySelectorAll('#history li').length === 0")  # asked for after the message
    forgive(page, "404")


def test_a_second_that_was_fetched_while_its_song_was_completed_is_fetched_again(page, song):
    upload(page, song)
    done(page)
    seconds = page.evaluate("""async () => {
        const { Player } = await import("/player.js");
        const { job } = window.unweave.player;
        const player = new Player();
        Object.assign(player, { job: { ...job, state: "running" }, context: new OfflineAudioContext(2, 1, 44100) });
        const some = player.piece(5, 5 * 44100 + 4410);
        player.job = job;
        return [(await some).seconds, (await player.piece(5, job.n_samples)).seconds];
    }""")
    assert seconds == [0.1, 1]


def test_the_page_works_where_the_browser_keeps_nothing(browser, shared_studio):
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.add_init_script("""Object.defineProperty(window, "localStorage", {
        get() { throw new DOMException("Access is denied for this document.", "SecurityError"); },
    })""")
    page.goto(shared_studio.address)
    until(page, "Boolean(window.unweave)")
    page.select_option("#language", "fr")
    page.click("#theme")
    assert page.inner_text("#drop-title") == "Séparer les pistes d’un morceau"
    context.close()


def test_everything_has_a_name_for_screen_readers(page, song):
    upload(page, song)
    done(page)
    assert nameless(page) == []


def test_a_phone(browser, studio, song):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(studio.address)
    until(page, "Boolean(window.unweave)")
    upload(page, song)
    done(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.tap("[data-stem=vocals] [data-what=mute]")
    assert page.get_attribute("[data-stem=vocals] [data-what=mute]", "aria-pressed") == "true"
    context.close()
