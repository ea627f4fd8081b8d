"""Practising: other speeds and keys, loops, zoom, markers, clicks."""

import pytest

from tests.studio.pages import expected_problems, opened, play_for_ever, state, turns, until
from unweave.studio.web.export import SHARED_LIBRARIES

needs_library = pytest.mark.skipif(not SHARED_LIBRARIES.is_dir(), reason="needs the libraries: make web-libraries")

STRETCH = """async ({ rate, semitones }) => {
    const { Stretched } = await import("/outlets.js");
    const hertz = 44100;
    const context = new OfflineAudioContext(4, 5 * hertz, hertz);
    const out = context.createChannelMerger(4);
    out.connect(context.destination);
    const inputs = {};
    ["one", "other"].forEach((stem, index) => {
        inputs[stem] = context.createChannelSplitter(2);
        for (const side of [0, 1]) inputs[stem].connect(out, side, 2 * index + side);
    });
    const outlet = await Stretched.open(context, inputs);
    outlet.start({ rate, semitones });
    outlet.begin(0.5);
    for (const second of [0, 1]) { // a tone from 0.5 s to 1.5 s, in two pieces
        const buffer = context.createBuffer(2, hertz, hertz);
        for (const side of [0, 1]) {
            const samples = buffer.getChannelData(side);
            for (let i = 0; i < hertz; i++) {
                const seconds = second + i / hertz;
                if (seconds > 0.5 && seconds < 1.5) samples[i] = 0.5 * Math.sin(2 * Math.PI * 440 * seconds);
            }
        }
        outlet.add({ at: 0.5 + second / rate, offset: 0, seconds: 1, buffers: { one: buffer, other: buffer } });
    }
    await outlet.node.latency(); // it has heard of everything
    const rendered = await context.startRendering();
    const [left, , other] = [0, 1, 2].map((channel) => rendered.getChannelData(channel));
    const first = left.findIndex((sample) => Math.abs(sample) > 0.2);
    const last = left.findLastIndex((sample) => Math.abs(sample) > 0.2);
    const [from, to] = [first + (last - first) / 4, last - (last - first) / 4].map(Math.round);
    let crossings = 0;
    for (let i = from; i < to; i++) if (left[i] < 0 && left[i + 1] >= 0) crossings++;
    const difference = left.reduce((most, sample, i) => Math.max(most, Math.abs(sample - other[i])), 0);
    return { start: first / hertz, stop: last / hertz, frequency: (crossings * hertz) / (to - from), difference };
}"""


@needs_library
@pytest.mark.parametrize(("rate", "semitones"), [(0.5, 0), (1.25, 0), (1, 7), (0.75, -5)])
def test_speed_keeps_the_pitch_and_transposing_the_tempo(desk, rate, semitones):
    heard = desk.evaluate(STRETCH, {"rate": rate, "semitones": semitones})
    assert heard["frequency"] == pytest.approx(440 * 2 ** (semitones / 12), rel=0.01)
    assert heard["start"] == pytest.approx(0.5 + 0.5 / rate, abs=0.05)
    assert heard["stop"] == pytest.approx(0.5 + 1.5 / rate, abs=0.05)
    assert heard["difference"] < 2e-3  # stems stay together to the sample


@needs_library
def test_a_song_is_played_at_half_speed_and_in_another_key(desk):
    desk.select_option("#rate", "0.5")
    desk.select_option("#transpose", "3")
    play_for_ever(desk)
    turns(desk, "player.now > 1.3")  # beyond the first piece
    turns(desk, "player.level('vocals') > 1e-3 && player.level('accompaniment') > 1e-3")
    assert state(desk, "[player.outlet.rate, player.outlet.semitones]") == [0.5, 3]
    assert desk.is_visible("#listening")
    assert desk.is_hidden("#plain")
    desk.select_option("#rate", "1")
    desk.select_option("#transpose", "0")  # from here on samples are played as they are
    turns(desk, "player.outlet?.sources?.size > 0")
    assert desk.is_hidden("#listening")


def test_without_the_library_speed_changes_the_pitch_and_the_page_says_so(browser, running_studio, desk):

    with opened(browser, running_studio) as page:
        page.route("**/vendor/stretch.js", lambda route: route.fulfill(status=404))
        page.get_by_role("button", name="tones.wav", exact=True).first.click()
        page.wait_for_selector("#strips .strip")
        with expected_problems(page, "404", "stretch.js"):
            page.select_option("#rate", "0.75")
            play_for_ever(page)
            page.wait_for_selector("#plain")
        turns(page, "player.outlet.sources.size > 0")
        assert state(page, "[...player.outlet.sources][0].playbackRate.value") == 0.75
        assert page.is_disabled("#transpose")


def drag(page, start, stop):
    """Over the waveform of the vocals, between two shares of its width."""
    box = page.locator("[data-stem=vocals] .wave").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + (start + stop) / 2 * box["width"], middle)
    page.mouse.move(box["x"] + stop * box["width"], middle)
    page.mouse.up()


@needs_library
def test_another_song_while_the_library_loads_leaves_speed_and_sound_as_they_were(desk):
    state(desk, "player.setSpeed(0.5, 0)")
    found = desk.evaluate("""async () => {
        const { player } = window.unweave;
        const playing = player.play();
        player.pause();
        player.closeContext(); // as another song does
        await playing;
        return [player.canStretch, player.plain];
    }""")
    assert found == [True, None]
    desk.click("#play")
    turns(desk, "player.now > 0.1 && player.level('vocals') > 1e-3")
    assert desk.is_hidden("#plain")


def test_a_loop_is_dragged_over_a_waveform_and_zooming_makes_it_finer(desk):
    drag(desk, 0.25, 0.5)
    assert state(desk, "player.loop") == pytest.approx([1.5, 3], abs=0.03)
    assert state(desk, "player.now") == pytest.approx(1.5, abs=0.03)
    assert desk.get_attribute("#loop", "aria-pressed") == "true"
    assert desk.text_content("#announcement").startswith("Loop from 0:01 to 0:0")
    desk.click("#loop")
    assert state(desk, "player.loop") is None
    desk.click("#zoom-in")
    desk.click("#zoom-in")  # around where it is: 1.5 s stays at a quarter of the width
    drag(desk, 0, 1)
    assert state(desk, "player.loop") == pytest.approx([1.125, 2.625], abs=0.03)
    desk.click("[data-stem=vocals] .wave", position={"x": 1, "y": 30})  # a click only seeks
    assert state(desk, "player.now") == pytest.approx(1.125, abs=0.03)
    desk.keyboard.press("-")
    desk.keyboard.press("-")
    assert state(desk, "strips.view.zoom") == 1
    assert desk.is_disabled("#zoom-out")


def test_a_song_goes_on_from_where_it_is_when_a_loop_ends_and_from_its_beginning_when_one_begins(desk):
    state(desk, "player.loop = [0, 0.5]")
    desk.click("#play")
    turns(desk, "player.context.currentTime - player.startTime > 1.6")
    desk.keyboard.press("l")
    assert state(desk, "player.loop") is None
    assert state(desk, "player.now") < 1  # and not where it would be without the loop
    state(desk, "player.seek(4)")
    turns(desk, "player.now > 4.1")
    drag(desk, 1 / 6, 1 / 2)
    assert state(desk, "player.now") == pytest.approx(1, abs=0.05)


def test_a_drag_that_the_browser_takes_for_itself_leaves_nothing(desk):
    """As when a finger scrolls the page after all."""
    box = desk.locator("[data-stem=vocals] .wave").bounding_box()
    desk.mouse.move(box["x"] + 50, box["y"] + 20)
    desk.mouse.down()
    desk.mouse.move(box["x"] + 150, box["y"] + 20)
    region = desk.locator("[data-stem=vocals] .region")
    region.wait_for(state="visible")
    desk.dispatch_event("[data-stem=vocals] .wave", "pointercancel")
    region.wait_for(state="hidden")
    desk.mouse.up()
    assert state(desk, "player.loop") is None


def test_the_speed_that_is_shown_is_the_one_that_is_heard(desk):
    """Browsers fill in what was chosen before, when one comes back to a page."""
    desk.select_option("#rate", "0.5")
    desk.goto("about:blank")
    desk.go_back()
    until(desk, "Boolean(window.unweave)")
    desk.wait_for_selector("#strips .strip")
    assert desk.input_value("#rate") == "1"
    assert state(desk, "player.rate") == 1


def test_markers_are_set_named_found_and_kept(desk):
    for seconds in (4, 1.5):
        state(desk, f"player.seek({seconds})")
        desk.keyboard.press("m")
    desk.click("#practice summary")
    desk.fill("#markers li:first-child input", "Chorus")
    desk.keyboard.press("Tab")
    desk.locator("h1").focus()
    state(desk, "player.seek(0)")
    where = []
    for key in "..,,":
        desk.keyboard.press(key)
        where.append(state(desk, "player.now"))
    assert where == [1.5, 4, 1.5, 0]
    desk.reload()
    until(desk, "Boolean(window.unweave)")
    desk.wait_for_selector("#strips .strip")
    desk.click("#practice summary")
    assert desk.input_value("#markers li:first-child input") == "Chorus"
    desk.get_by_role("button", name="Go to Chorus, 0:01").click()
    assert state(desk, "player.now") == 1.5
    until(desk, "document.querySelectorAll('[data-stem=vocals] .flags i').length === 2")
    desk.get_by_role("button", name="Delete Chorus").click()
    desk.get_by_role("button", name="Delete Marker 1").click()
    assert desk.locator("#markers li").count() == 0
    assert desk.evaluate("document.activeElement.id") == "mark"


def test_the_tempo_is_found_from_taps_that_are_not_quite_even(desk):
    tapped = desk.evaluate("""async () => {
        const { Metronome } = await import("/metronome.js");
        const metronome = new Metronome();
        for (const seconds of [3, 9.98, 10.51, 11.0, 11.49, 12.01]) metronome.tap(seconds); // the first is long ago
        metronome.isOn = true;
        return [metronome.bpm, metronome.first, metronome.within(9.9, 12.1)];
    }""")
    assert tapped[0] == pytest.approx(120, abs=1)
    assert tapped[1] == pytest.approx(10, abs=0.02)
    assert [beat["isFirst"] for beat in tapped[2]] == [True, False, False, False, True]
    assert [beat["seconds"] for beat in tapped[2]] == pytest.approx([10, 10.5, 11, 11.5, 12], abs=0.03)


def test_a_bar_is_counted_in_and_clicks_fall_on_the_beats(desk):
    desk.evaluate("""() => {
        window.heard = { clicks: [], pieces: [] };
        const spy = (kind, list) => {
            const start = kind.prototype.start;
            kind.prototype.start = function (...given) { list.push(given); start.apply(this, given); };
        };
        spy(OscillatorNode, window.heard.clicks);
        spy(AudioBufferSourceNode, window.heard.pieces);
    }""")
    if not desk.is_visible("#bpm"):
        desk.click("#practice summary")
    assert desk.is_disabled("#count-in")
    desk.fill("#bpm", "240")
    desk.keyboard.press("Tab")
    desk.fill("#beats", "3")
    desk.keyboard.press("Tab")
    desk.check("#click")
    desk.check("#count-in")
    desk.click("#play")
    until(desk, "window.heard.clicks.length >= 3 + 4")
    state(desk, "player.pause()")
    clicks, pieces = desk.evaluate("[window.heard.clicks.flat(), window.heard.pieces]")
    begins = pieces[0][0]
    assert [begins - click for click in clicks[:3]] == pytest.approx([0.75, 0.5, 0.25])
    assert [click - begins for click in clicks[3:7]] == pytest.approx([0, 0.25, 0.5, 0.75])
    desk.uncheck("#click")
    desk.uncheck("#count-in")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0:00"), (59.99, "0:59"), (61, "1:01"), (3599, "59:59"), (3600, "1:00:00"), (4503.2, "1:15:03")],
)
def test_a_time_is_said_as_on_a_clock(desk, seconds, said):
    assert desk.evaluate(f"import('/words.js').then(({{ clock }}) => clock({seconds}))") == said


def test_five_seconds_forward_at_the_end_is_the_end(desk):
    state(desk, "player.seek(4)")
    desk.click("#play")
    turns(desk, "player.now > 4.05")
    desk.locator("h1").click()
    desk.keyboard.press("ArrowRight")
    turns(desk, "!player.isPlaying")
    assert state(desk, "player.position === player.length")
    desk.click("#play")  # and from the end the song begins once more
    turns(desk, "player.isPlaying && player.now < 3")
