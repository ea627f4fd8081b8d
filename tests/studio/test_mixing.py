"""The whole: its level, the limiter, the clip light, the original beside the mix; waveforms that can be compared."""

import math
import re
from urllib.parse import unquote

import numpy as np
import pytest

from tests.studio.pages import play_for_ever, press, state, turns, until

LIMIT = """async () => {
    const hertz = 44100;
    const context = new OfflineAudioContext(2, hertz, hertz);
    await context.audioWorklet.addModule("/limiter.js");
    const buffer = context.createBuffer(2, hertz, hertz);
    const given = [0, 1].map((side) => buffer.getChannelData(side));
    for (let i = 0; i < hertz; i++) {
        given[0][i] = 0.5 * Math.sin(i / 20);
        given[1][i] = (i > 20000 && i < 22000 ? 3 : 0.1) * Math.sin(i / 7); // a burst, on the right alone
    }
    given[0][30000] = -1.7; // a single sample
    const source = new AudioBufferSourceNode(context, { buffer });
    const limiter = new AudioWorkletNode(context, "unweave-limiter", { outputChannelCount: [2] });
    source.connect(limiter).connect(context.destination);
    source.start();
    const heard = await context.startRendering();
    const sides = [0, 1].map((side) => heard.getChannelData(side));
    const delay = Math.round(0.005 * hertz) - 1;
    const change = (from, to) => {
        let most = 0;
        for (let i = from; i < to; i++) most = Math.max(most, Math.abs(sides[0][i + delay] - given[0][i]));
        return most;
    };
    const peak = Math.max(...sides.map((side) => side.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0)));
    return { peak, before: change(0, 19000), within: change(20500, 21500), after: change(43000, 43500) };
}"""


def test_the_limiter_holds_its_ceiling_and_leaves_what_is_quieter_alone(desk):
    heard = desk.evaluate(LIMIT)
    assert 0.9 < heard["peak"] <= 10 ** (-0.3 / 20) + 1e-6
    assert heard["before"] < 1e-6
    assert heard["within"] > 0.2  # both sides are turned down, so that nothing moves across
    assert heard["after"] < 0.005


def test_clipping_is_shown_until_it_is_acknowledged_and_the_limiter_prevents_it(desk):
    play_for_ever(desk)
    assert desk.inner_text("#clip") == "No clipping"
    desk.fill("#master-level", "12")
    for stem in ("vocals", "accompaniment"):
        desk.fill(f"[data-stem={stem}] input[data-what=gain]", "12")
    until(desk, "document.getElementById('clip').textContent === 'Too loud: clipping'")
    assert desk.text_content("#announcement") == "Too loud: clipping"
    desk.click("#limiter")
    turns(desk, "player.master.limiter && player.master.meters.output.peak() > 0.1 && player.tick() <= 1")
    desk.click("#clip")
    turns(desk, "player.now > 0 && player.tick() > 0.5")
    assert desk.inner_text("#clip") == "No clipping"
    assert desk.is_visible("#listening")
    desk.click("#limiter")
    until(desk, "document.getElementById('clip').classList.contains('on')")
    desk.fill("#master-level", "0")
    desk.evaluate("document.querySelector('[data-preset=all]').click()")
    turns(desk, "player.tick() < 1")
    desk.click("#clip")


def test_the_limiter_stays_on_when_another_song_is_opened_while_it_loads(desk):
    found = desk.evaluate("""async () => {
        const { player } = window.unweave;
        player.closeContext();
        player.settings.isLimited = true;
        const playing = player.play();
        player.pause();
        const { master } = player;
        player.closeContext(); // as another song does
        await Promise.all([playing, master.route().catch(() => {})]);
        return player.settings.isLimited;
    }""")
    assert found
    state(desk, "player.setMaster({ isLimited: false })")


def test_a_key_that_is_held_down_counts_once(desk):
    desk.evaluate("document.activeElement.blur()")
    for key, expression in (("Digit1", "player.mix.vocals.mute"), ("Space", "player.isPlaying")):
        for _ in range(2):
            desk.keyboard.down(key)
        desk.keyboard.up(key)
        assert state(desk, expression)


def test_the_original_is_as_loud_as_the_mix(desk, running_studio):
    press(desk, "vocals", "mute")
    desk.fill("[data-stem=accompaniment] input[data-what=gain]", "-9")
    play_for_ever(desk)
    turns(desk, "player.master.powers && player.master.powers.mix < player.master.powers.song / 8")
    desk.keyboard.press("o")
    assert desk.get_attribute("#original", "aria-pressed") == "true"
    turns(desk, "player.master.mixGate.gain.value < 1e-3 && player.master.songGate.gain.value > 0.1")
    path = f"/api/jobs/{state(desk, 'player.job.id')}/stems"
    vocals, rest = (
        np.frombuffer(running_studio.get(f"{path}/{stem}/samples", params={"count": 6 * 44100}).content, "<i2") / 32768
        for stem in ("vocals", "accompaniment")
    )
    mix = rest * 10 ** (-9 / 20)
    expected = 10 * math.log10(np.mean(mix**2) / np.mean((vocals + rest) ** 2))
    # It follows in two seconds or so.
    turns(desk, f"Math.abs(20 * Math.log10(player.master.matchingGain) - {expected}) < 1.5")
    desk.click("#original")
    turns(desk, "player.master.songGate.gain.value < 1e-3 && player.master.mixGate.gain.value > 0.999")


def test_the_level_of_the_whole_is_part_of_the_mix_that_is_saved(desk):
    desk.fill("#master-level", "-4.5")
    desk.fill("[data-stem=vocals] input[data-what=gain]", "-6")
    assert desk.inner_text("#master-db") == "−4.5 dB"
    gains = re.findall(r"gain=(\w+)%3A([-\d.]+)", desk.get_attribute("#export-mix", "href"))
    assert dict(gains) == {"vocals": "-10.5", "accompaniment": "-4.5"}
    desk.fill("[data-stem=vocals] input[data-what=gain]", "12")
    desk.fill("#master-level", "-60")  # which is silence
    gains = re.findall(r"gain=(\w+)%3A([-\d.]+)", desk.get_attribute("#export-mix", "href"))
    assert dict(gains) == {"vocals": "-60", "accompaniment": "-60"}
    desk.fill("#master-level", "0")


def test_waveforms_are_drawn_on_one_scale(desk):
    """The highest peak of all stems fills the height; the other stem is lower by as much as it is quieter."""
    highest, drawn = desk.evaluate("""() => {
        const rows = Object.values(window.unweave.strips.rows);
        const tallest = ({ canvas }) => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            let most = 0;
            for (let x = 0; x < canvas.width; x++) {
                let covered = 0;
                for (let y = 0; y < canvas.height; y++) covered += data[4 * (y * canvas.width + x) + 3] / 255;
                most = Math.max(most, covered);
            }
            return most;
        };
        return [rows.map(({ heights }) => Math.max(...heights)), rows.map(tallest)];
    }""")
    assert max(drawn) == pytest.approx(60, abs=1)
    assert drawn[0] / drawn[1] == pytest.approx(highest[0] / highest[1], rel=0.05)
    assert highest[0] != pytest.approx(highest[1], rel=0.05)


MIXER = "['gain', 'pan', 'sensitivity', 'mute', 'solo'].map((what) => player.mix.vocals[what])"


def reloaded(page):
    page.reload()
    until(page, "Boolean(window.unweave)")
    page.wait_for_selector("#strips .strip")


def test_the_mixer_is_as_it_was_left(desk):
    desk.fill("[data-stem=vocals] input[data-what=gain]", "-6.5")
    desk.fill("[data-stem=vocals] input[data-what=sensitivity]", "0.7")
    desk.fill("[data-stem=vocals] input[data-what=pan]", "-0.25")
    press(desk, "vocals", "mute")
    reloaded(desk)
    assert state(desk, MIXER) == [-6.5, -0.25, 0.7, True, False]
    assert desk.input_value("[data-stem=vocals] input[data-what=gain]") == "-6.5"
    assert desk.get_attribute("[data-stem=vocals] [data-what=mute]", "aria-pressed") == "true"
    desk.click("[data-preset=all]")
    assert desk.evaluate("localStorage.mixes") == "[]"  # what is untouched takes no room


@pytest.mark.parametrize("what", ["{", "7", '[null, 3, ["SONG"], ["SONG", 5]]', '[["SONG", {"vocals": null}]]'])
def test_a_damaged_mixer_is_untouched(desk, what):
    desk.evaluate("(what) => { localStorage.mixes = what.replaceAll('SONG', unweave.player.job.id); }", what)
    reloaded(desk)
    assert state(desk, MIXER) == [0, 0, 0.5, False, False]


def test_what_is_kept_of_a_mixer_has_bounds(desk):
    kept = '[["SONG", {"vocals": {"gain": 900, "pan": -7, "sensitivity": "x", "mute": 1, "solo": true}}]]'
    desk.evaluate("(kept) => { localStorage.mixes = kept.replaceAll('SONG', unweave.player.job.id); }", kept)
    reloaded(desk)
    assert state(desk, MIXER) == [12, -1, 0.5, False, True]
    n_kept = desk.evaluate("""async () => {
        const { keepMix } = await import("/kept.js");
        for (let song = 0; song < 150; song++) keepMix(String(song), { vocals: { gain: -1 } });
        const kept = JSON.parse(localStorage.mixes);
        return [kept.length, kept[0][0]];
    }""")
    assert n_kept == [100, "149"]
    desk.evaluate("localStorage.removeItem('mixes')")


def test_a_damaged_list_of_markers_is_empty(desk):
    desk.evaluate('localStorage.setItem(`song ${unweave.player.job.id}`, \'{"markers": 5, "bpm": "x"}\')')
    reloaded(desk)
    assert desk.locator("#markers li").count() == 0
    assert state(desk, "player.metronome.bpm") == 0
    desk.evaluate("localStorage.removeItem(`song ${unweave.player.job.id}`)")


def test_labels_in_french_have_a_space_before_the_colon(desk):
    desk.select_option("#language", "fr")
    assert desk.get_attribute("[data-stem=vocals] [data-what=mute]", "aria-label") == "Muet\u202f: voix"
    desk.select_option("#language", "en")
    assert desk.get_attribute("[data-stem=vocals] [data-what=mute]", "aria-label") == "Mute: vocals"


def test_a_mix_of_nothing_is_called_silence(desk, running_studio):
    job = state(desk, "player.job.id")
    answer = running_studio.get(f"/api/jobs/{job}/mix", params={"mute": ["vocals", "accompaniment"]})
    assert "tones (silence).wav" in unquote(answer.headers["content-disposition"])


def test_digits_mute_and_solo_whatever_sign_a_keyboard_has_there(desk):
    """Shift and 1 give "+" in Switzerland, as 1 alone does in Czechia; both also mean a zoom elsewhere."""
    press = """(how) => document.body.dispatchEvent(
        new KeyboardEvent("keydown", { bubbles: true, code: "Digit1", key: "+", ...how }))"""
    desk.evaluate(press, {"shiftKey": True})
    desk.evaluate(press, {"shiftKey": False})
    assert state(desk, "[player.mix.vocals.solo, player.mix.vocals.mute, strips.view.zoom]") == [True, True, 1]
    desk.evaluate(press, {"code": "NumpadAdd"})
    assert state(desk, "strips.view.zoom") == 2


def test_a_waveform_is_not_replaced_by_an_earlier_one_that_arrives_later(desk):
    asked = []
    desk.route("**/peaks?points=300", lambda route: asked.append(route))
    half = "{ ...player.job, state: 'running', n_samples: player.job.n_samples / 2 }"
    state(desk, f"{{ window.early = strips.draw({half}); }}")
    state(desk, "strips.draw(player.job)")
    for route in asked:
        route.fulfill(json=[0.5] * 300)
    desk.evaluate("window.early")
    assert len(asked) == 2
    assert state(desk, "[strips.share, strips.rows.vocals.heights.length]") == [1, 4000]
    desk.unroute("**/peaks?points=300")


def test_stems_have_names_of_their_own(desk):
    """Also those that are called like something else on the page."""
    desk.select_option("#language", "fr")
    names = desk.evaluate("""import("/words.js").then(({ sayStem }) =>
        ["vocals", "guitar", "keys", "lead_vocals", "constructor"].map((stem) => sayStem(stem)))""")
    desk.select_option("#language", "en")
    assert names == ["voix", "guitare", "keys", "lead vocals", "constructor"]
