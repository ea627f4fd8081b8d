"""The page by keyboard alone, by what a screen reader hears, and by the rules of axe-core."""

import pytest

from tests.audio.test_files import write
from tests.helpers.signals import tones
from tests.studio.pages import done, needs_axe, opened, state, turns, until, upload, violations


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


def test_who_opens_or_deletes_a_song_by_keyboard_does_not_begin_at_the_top_again(desk, running_studio, tmp_path):
    before = desk.evaluate("location.hash.slice(1)")
    song = write(tmp_path / "short.wav", tones(44100))
    running_studio.wait(running_studio.upload(song).json()["id"])
    desk.evaluate("window.dispatchEvent(new Event('focus'))")
    short = desk.get_by_role("button", name="short.wav", exact=True)
    short.wait_for()
    short.press("Enter")
    assert desk.evaluate("document.activeElement.id") == "song"
    assert desk.get_by_role("heading", name="short.wav").is_visible()
    desk.locator(f"[data-key='{before} open']").press("Enter")
    remove = desk.get_by_role("button", name="Delete: short.wav")
    remove.focus()
    running_studio.wait(running_studio.upload(song).json()["id"])
    desk.evaluate("window.dispatchEvent(new Event('focus'))")  # the list is built anew
    until(desk, "document.querySelectorAll('#history [aria-label=\"Delete: short.wav\"]').length === 2")
    assert desk.evaluate("document.activeElement.ariaLabel") == "Delete: short.wav"
    for _ in range(2):  # a key that is held down presses the button again and again
        desk.keyboard.down("Enter")
    desk.keyboard.up("Enter")
    sure = desk.get_by_role("button", name="Delete for good: short.wav")
    assert desk.evaluate("document.activeElement.ariaLabel") == "Delete for good: short.wav"
    desk.locator("#song").focus()  # whoever thinks better of it goes elsewhere
    assert sure.count() == 0
    remove.first.dblclick()  # which is no second thought
    assert remove.count() == 1
    sure.press("Enter")
    until(desk, "document.querySelectorAll('#history [aria-label$=\"short.wav\"]').length === 1")
    assert desk.evaluate("document.activeElement.id") == "history-title"
    remove.press("Enter")
    sure.press("Enter")
    until(desk, "document.querySelectorAll('#history [aria-label$=\"short.wav\"]').length === 0")
    assert desk.evaluate("document.activeElement.id") == "history-title"


def test_a_screen_reader_hears_states_and_not_every_percent(held_page, held_studio, tmp_path):
    held_page.evaluate("""() => {
        window.heard = [];
        const hear = (changes) => { for (const { target } of changes) window.heard.push(target.textContent); };
        for (const place of document.querySelectorAll("[aria-live=polite]")) {
            new MutationObserver(hear).observe(place, { childList: true, subtree: true, characterData: true });
        }
    }""")
    upload(held_page, write(tmp_path / "a.wav", tones(2 * 44100)))
    held_studio.release()
    done(held_page)
    heard = held_page.evaluate("window.heard.filter((text) => text.includes('a.wav') || text.includes('%'))")
    assert heard[-2:] == ["Separating: a.wav", "Done: a.wav"]
    assert not any("%" in text for text in heard)
