"""Several songs at once: a queue that is seen, reordered and cancelled in the page."""

from tests.audio.test_files import write
from tests.helpers.signals import tones
from tests.studio.pages import delete, done, opened, until


def names(page):
    return page.locator("#waiting .name").all_inner_texts()


def test_songs_that_are_dropped_together_wait_in_an_order_that_can_be_changed(held_page, held_studio, tmp_path):
    page = held_page
    songs = [write(tmp_path / f"{name}.wav", tones(2 * 44100)) for name in "abcd"]
    wrong = tmp_path / "wrong.wav"
    wrong.write_bytes(b"no song")
    page.select_option("#model", "toy")
    page.set_input_files("#file", [str(path) for path in (*songs[:2], wrong, *songs[2:])])
    until(page, "document.querySelectorAll('#waiting li').length === 4")
    assert names(page) == ["a.wav", "b.wav", "c.wav", "d.wav"]
    until(page, "document.getElementById('message').textContent.startsWith('wrong.wav: This file contains no audio')")
    page.problems.clear()  # the refused request itself
    assert page.inner_text("#song") == "a.wav"
    page.get_by_role("button", name="Sooner: d.wav").press("Enter")
    until(page, "document.querySelectorAll('#waiting .name')[2].textContent === 'd.wav'")
    assert page.text_content("#announcement") == "d.wav is now number 2"
    assert page.evaluate("document.activeElement.ariaLabel") == "Sooner: d.wav"  # to be pressed again
    page.get_by_role("button", name="Sooner: d.wav").press("Enter")
    until(page, "document.querySelectorAll('#waiting .name')[1].textContent === 'd.wav'")
    assert page.get_by_role("button", name="Sooner: d.wav").is_disabled()
    assert page.evaluate("document.activeElement.ariaLabel") == "Later: d.wav"
    page.get_by_role("button", name="Cancel: b.wav").click()
    until(page, "document.querySelectorAll('#waiting li').length === 3")
    assert names(page) == ["a.wav", "d.wav", "c.wav"]
    page.reload()
    until(page, "document.querySelectorAll('#waiting li').length === 3")
    assert names(page) == ["a.wav", "d.wav", "c.wav"]
    held_studio.release()
    page.wait_for_selector("#queue", state="hidden")
    jobs = {job["name"]: job for job in held_studio.get("/api/jobs").json()}
    assert jobs["b.wav"]["state"] == "cancelled"
    assert jobs["d.wav"]["turn"] < jobs["c.wav"]["turn"]


def test_songs_are_told_apart(browser, held_studio, tmp_path):
    """One that plays stops for another one, and what the server does not answer changes nothing."""
    for name in "ab":
        held_studio.upload(write(tmp_path / f"{name}.wav", tones(2 * 44100)))
    with opened(browser, held_studio) as page:
        page.get_by_role("button", name="a.wav", exact=True).click()
        page.wait_for_selector("#strips .strip")
        page.click("#play")
        until(page, "window.unweave.player.now > 0.1")
        assert page.get_attribute("#play", "aria-label") == "Pause"
        page.get_by_role("button", name="b.wav", exact=True).click()
        assert page.locator(".strip, #presets button").count() == 0  # it waits, and those of a.wav are not its own
        assert page.get_attribute("#play", "aria-label") == "Play"
        save = "document.getElementById('export-mix')"
        click = 'new MouseEvent("click", { bubbles: true, cancelable: true })'
        assert page.evaluate(f"!{save}.dispatchEvent({click})")  # by the keyboard: there is nothing to save yet
        held_studio.release()
        page.wait_for_selector("#queue", state="hidden")
        done(page)
        page.click("#view-spectra")
        page.wait_for_selector(".layer", state="attached")
        held_studio.gate.touch()
        page.select_option("#model", "toy")
        page.set_input_files("#file", str(tmp_path / "a.wav"))
        page.wait_for_selector("#job")
        page.wait_for_selector(".strip")
        assert page.locator(".layer").count() == 0
        delete(page, "a.wav")
        page.wait_for_selector("#player", state="hidden")
        page.get_by_role("button", name="b.wav", exact=True).click()

        page.route("**/api/jobs", lambda route: route.abort())
        page.route("**/api/jobs/*", lambda route: route.abort())
        delete(page, "b.wav")
        until(page, "document.getElementById('message').textContent.startsWith('The server is not responding')")
        assert page.is_visible("#player")
        assert page.locator("#history .open").all_inner_texts() == ["b.wav", "a.wav"]
        page.problems.clear()  # the failed requests themselves
