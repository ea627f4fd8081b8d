"""The page by keyboard alone, by what a screen reader hears, and by the rules of axe-core."""

import pytest

from tests.studio.pages import needs_axe, opened, state, turns, until, violations


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_fault_with_a_song_on_the_page(desk, scheme):
    desk.emulate_media(color_scheme=scheme)
    if not desk.is_visible("#bpm"):
        desk.click("#practice summary")
    state(desk, "player.seek(2)")
    desk.locator("h1").click()
    desk.keyboard.press("m")
    desk.evaluate("document.getElementById('clip').classList.add('on')")
    desk.evaluate("document.getElementById('queue').hidden = false")
    assert violations(desk) == []
    desk.click("#markers li button:last-child")
    desk.evaluate("document.getElementById('queue').hidden = true")
    desk.evaluate("document.getElementById('clip').classList.remove('on')")


@needs_axe
def test_no_serious_fault_before_the_first_song(browser, studio):
    with opened(browser, studio) as page:
        page.select_option("#model", "htdemucs")  # a licence to accept
        assert violations(page) == []


def focused(page):
    """The name of what has the focus, and whether one can see that it has it."""
    return page.evaluate("""() => {
        const element = document.activeElement;
        const name = element.ariaLabel || element.labels?.[0]?.textContent.trim() || element.textContent.trim();
        const shown = element.type === "file" ? element.closest("label") : element;
        return [name.replace(/\\s+/g, " "), getComputedStyle(shown).outlineStyle === "solid"];
    }""")


def test_everything_is_reached_and_used_by_keyboard_alone(desk):
    if desk.is_visible("#bpm"):
        desk.click("#practice summary")
    desk.focus("#language")
    reached = ["Language"]
    while len(reached) < 200 and reached[-1] != "Delete: tones.wav":
        desk.keyboard.press("Tab")
        name, is_visible = focused(desk)
        assert is_visible, name
        reached.append(name)
    order = ["Language", "Light / dark", "Choose a song", "Play", "Position", "Loop", "Zoom in", "Waveforms",
             "Practise: markers, tempo, click", "Karaoke", "Mute: vocals", "Solo: vocals", "Save: vocals",
             "Level: vocals", "Pan: vocals", "Sensitivity: vocals", "Mute: accompaniment", "Original", "Limiter",
             "Save this mix", "Save all stems (zip)", "tones.wav", "Delete: tones.wav"]  # fmt: skip
    places = [reached.index(name) for name in order]
    assert places == sorted(places)

    desk.evaluate("document.getElementById('file').onclick = () => { window.asked = true; return false; }")
    desk.focus("#file")
    desk.keyboard.press("Enter")
    assert desk.evaluate("window.asked")
    desk.focus("#play")
    desk.keyboard.press("Enter")
    turns(desk, "player.isPlaying")
    desk.keyboard.press("Enter")
    turns(desk, "!player.isPlaying")
    desk.focus("[data-stem=vocals] input[data-what=gain]")
    desk.keyboard.press("ArrowLeft")
    assert state(desk, "player.mix.vocals.gain") == -0.5
    desk.focus("[data-stem=vocals] [data-what=solo]")
    desk.keyboard.press("Space")
    assert state(desk, "player.mix.vocals.solo && !player.isPlaying")
    desk.focus("#practice summary")
    desk.keyboard.press("Enter")
    desk.keyboard.press("Tab")
    assert focused(desk)[0] == "Add a marker"
    desk.keyboard.press("Enter")
    assert desk.locator("#markers li").count() == 1
    desk.focus("#markers li button:last-child")
    desk.keyboard.press("Enter")
    assert focused(desk)[0] == "Add a marker"


HEARD = """
- group "vocals":
  - 'button "Mute: vocals"': Mute
  - 'button "Solo: vocals"': Solo
  - 'link "Save: vocals"'
  - 'slider "Level: vocals"': "0"
  - 'slider "Pan: vocals"': "0"
  - 'slider "Sensitivity: vocals"': "0.5"
"""


def test_a_screen_reader_hears_names_roles_and_what_changes(desk):
    main = desk.locator("main")
    assert desk.get_by_role("heading", name="tones.wav").is_visible()
    for region in ("Take a song apart", "tones.wav", "Songs"):
        assert desk.get_by_role("region", name=region).count() == 1
    playwright = pytest.importorskip("playwright.sync_api")
    playwright.expect(main).to_match_aria_snapshot(HEARD)
    mute = desk.get_by_role("button", name="Mute: vocals")
    mute.click()
    assert desk.get_by_role("button", name="Mute: vocals", pressed=True).count() == 1
    assert desk.get_by_role("group", name="Everything together").get_by_role("slider", name="Level").count() == 1
    assert desk.get_by_role("slider", name="Level: vocals").get_attribute("aria-valuetext") == "0.0 dB"
    desk.fill("[data-stem=vocals] input[data-what=pan]", "-0.5")
    assert desk.get_by_role("slider", name="Pan: vocals").get_attribute("aria-valuetext") == "L 50"
    said = desk.get_by_role("status").filter(has_text="Marker at 0:02")
    state(desk, "player.seek(2.5)")
    until(desk, "document.getElementById('seek').getAttribute('aria-valuetext') === '0:02'")
    desk.locator("h1").click()
    desk.keyboard.press("m")
    said.wait_for(state="attached")
    desk.evaluate("document.querySelector('#markers li button:last-child').click()")
