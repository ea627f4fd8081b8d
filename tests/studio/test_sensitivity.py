"""Sensitivities in the page: the sound is shared anew as Python shares it, while it plays, without a click."""

import numpy as np
import pytest

from tests.helpers.signals import SAMPLE_RATE, error_db, noise, tones
from tests.studio.pages import opened, play_for_ever, state, turns, until
from unweave.dsp.sensitivity import reshared
from unweave.studio.web.export import SHARED_LIBRARIES
from unweave.types import Stems

pytestmark = pytest.mark.skipif(not SHARED_LIBRARIES.is_dir(), reason="needs the libraries: make web-libraries")

LATENCY = 2048  # samples
RESHARE = """async ({ stems, sensitivities, hertz }) => {
    const [n, nSamples] = [stems.length, stems[0][0].length];
    const context = new OfflineAudioContext(2 * n, nSamples + 2048, hertz);
    await context.audioWorklet.addModule("/resharer.js");
    const node = new AudioWorkletNode(context, "unweave-resharer", {
        numberOfInputs: n, numberOfOutputs: n, outputChannelCount: stems.map(() => 2),
        processorOptions: { sensitivities },
    });
    const out = context.createChannelMerger(2 * n);
    stems.forEach((sides, stem) => {
        const buffer = context.createBuffer(2, nSamples, hertz);
        sides.forEach((side, channel) => {
            buffer.copyToChannel(Float32Array.from(side, (sample) => sample / 32768), channel);
        });
        const source = new AudioBufferSourceNode(context, { buffer });
        source.connect(node, 0, stem);
        source.start();
        const splitter = context.createChannelSplitter(2);
        node.connect(splitter, stem);
        for (const side of [0, 1]) splitter.connect(out, side, 2 * stem + side);
    });
    out.connect(context.destination);
    const heard = await context.startRendering();
    return stems.map((_, stem) => [0, 1].map((side) => [...heard.getChannelData(2 * stem + side)]));
}"""
# Two stems play on while their sensitivities become different at 0.1 s, and equal at 0.3 s.
SWITCH = """async ({ hertz }) => {
    const { Resharing } = await import("/resharing.js");
    const context = new OfflineAudioContext(2, hertz / 2, hertz);
    const out = context.createChannelMerger(2);
    const inputs = [0, 1].map(() => context.createGain());
    inputs.forEach((input, side) => input.connect(out, 0, side));
    inputs[1].channelCount = inputs[0].channelCount = 1;
    for (const input of inputs) input.channelCountMode = "explicit";
    out.connect(context.destination);
    const resharing = new Resharing(context, { one: inputs[0], other: inputs[1] }, context.createGain());
    const given = [300, 310].map((frequency, stem) => {
        const buffer = context.createBuffer(2, hertz / 2, hertz);
        for (const side of [0, 1]) {
            const samples = buffer.getChannelData(side);
            samples.forEach((_, i) => { samples[i] = 0.3 * Math.sin(2 * Math.PI * frequency * i / hertz); });
        }
        const source = new AudioBufferSourceNode(context, { buffer });
        source.connect(Object.values(resharing.entries)[stem]);
        source.start();
        return [...buffer.getChannelData(0)];
    });
    const latencies = [];
    const at = (seconds, sensitivities) => context.suspend(seconds).then(async () => {
        await resharing.set(sensitivities);
        latencies.push(resharing.latency);
        context.resume();
    });
    at(0.1, [0.9, 0.5]);
    at(0.3, [0.5, 0.5]);
    const heard = await context.startRendering();
    return { given, heard: [0, 1].map((side) => [...heard.getChannelData(side)]), latencies };
}"""


@pytest.mark.parametrize("sensitivities", [(0.8, 0.5, 0.1), (0.3, 0.3, 0.3)])
def test_the_worklet_shares_stems_as_python_does(desk, sensitivities):
    n = 6000
    stems = [tones(n), noise(n, level=0.2), 0.3 * np.roll(tones(n), 800, axis=1) + noise(n, level=0.01, seed=2)]
    stems[2][:, 3500:] = 0
    whole = [np.rint(stem * 32768) for stem in stems]
    heard = desk.evaluate(
        RESHARE, {"stems": [stem.tolist() for stem in whole], "sensitivities": sensitivities, "hertz": SAMPLE_RATE}
    )
    given = Stems({str(number): (stem / 32768).astype(np.float32) for number, stem in enumerate(whole)}, SAMPLE_RATE)
    named = {str(number): value for number, value in enumerate(sensitivities)}
    for name in given:
        expected = np.concatenate([part[name] for part in reshared([given], named)], axis=1)
        found = np.array(heard[int(name)])
        assert error_db(found[:, LATENCY:], expected) < -80


def test_they_change_while_the_sound_goes_on(desk):
    result = desk.evaluate(SWITCH, {"hertz": SAMPLE_RATE})
    given, heard = np.array(result["given"]), np.array(result["heard"])
    assert result["latencies"] == [0, pytest.approx(LATENCY / SAMPLE_RATE)]
    begun, settled, ended = (round(seconds * SAMPLE_RATE) for seconds in (0.1, 0.2, 0.3))
    np.testing.assert_allclose(heard[:, :begun], given[:, :begun], atol=1e-6)
    late = np.roll(given, LATENCY, axis=1)
    during = slice(settled, ended)
    assert np.abs(heard[0, during]).mean() > 1.15 * np.abs(late[0, during]).mean()
    np.testing.assert_allclose(heard.sum(0)[settled:], late.sum(0)[settled:], atol=1e-5)
    after = slice(ended + 2 * LATENCY, None)
    np.testing.assert_allclose(heard[:, after], late[:, after], atol=1e-5)
    # No step is larger than the steepest of tones that are twice as loud.
    assert np.abs(np.diff(heard)).max() < 2 * np.abs(np.diff(given)).max()


def loudness(page, stem):
    """The mean square of what is heard of a stem, in many looks by the clock of the sound, which may be slow."""
    return page.evaluate(
        """async (stem) => {
            const { chains, context } = window.unweave.player;
            const { meter } = chains[stem];
            const buffer = new Float32Array(meter.fftSize);
            let sum = 0;
            let next = context.currentTime + 0.15; // what came before has been heard by then
            for (let look = 0; look < 8; look++, next += 0.05) {
                while (context.currentTime < next) await new Promise((resolve) => setTimeout(resolve, 5));
                meter.getFloatTimeDomainData(buffer);
                sum += buffer.reduce((total, sample) => total + sample * sample, 0);
            }
            return sum;
        }""",
        stem,
    )


def test_a_slider_moves_sound_while_it_plays(desk):
    slider = "[data-stem=vocals] input[data-what=sensitivity]"
    assert desk.input_value(slider) == "0.5"
    assert desk.get_attribute(slider, "aria-valuetext") == "50%"
    assert desk.get_attribute(slider, "aria-label") == "Sensitivity: vocals"
    play_for_ever(desk)
    before = loudness(desk, "accompaniment")
    desk.fill(slider, "0.9")
    turns(desk, "player.resharing.latency > 0")
    assert loudness(desk, "accompaniment") < before / 2
    late = "player.startPosition + player.context.currentTime - player.startTime - player.now"
    assert state(desk, f"({late}) % 5.5") == pytest.approx(LATENCY / SAMPLE_RATE, abs=0.01)
    assert "sensitivity=vocals%3A0.9" in desk.get_attribute("#export-mix", "href")
    assert "sensitivity=vocals%3A0.9" in desk.get_attribute("#export-all", "href")
    assert desk.get_attribute("[data-stem=accompaniment] [data-what=save]", "href").endswith(
        "sensitivity=vocals%3A0.9&solo=accompaniment"
    )
    desk.dblclick(slider)
    assert desk.input_value(slider) == "0.5"
    assert "sensitivity" not in desk.get_attribute("#export-mix", "href")
    assert loudness(desk, "accompaniment") > before / 1.5
    desk.evaluate("window.unweave.player.restart()")  # from here on nothing is in the way of the sound
    turns(desk, "player.isPlaying && player.outlet && player.resharing.latency === 0")


def test_where_it_cannot_be_heard_the_page_says_so(browser, running_studio, desk):
    with opened(browser, running_studio) as page:
        page.evaluate("() => { AudioWorklet.prototype.addModule = () => Promise.reject(new Error('not here')); }")
        page.get_by_role("button", name="tones.wav", exact=True).first.click()
        page.wait_for_selector("#strips .strip")
        page.fill("[data-stem=vocals] input[data-what=sensitivity]", "0.7")
        play_for_ever(page)
        until(page, "document.getElementById('message').textContent.startsWith('Sensitivities cannot be heard')")
        turns(page, "player.level('vocals') > 1e-3")
        assert "sensitivity=vocals%3A0.7" in page.get_attribute("#export-mix", "href")
