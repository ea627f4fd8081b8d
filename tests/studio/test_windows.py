"""A page that is not alone: other windows change its songs, servers refuse it for a while, addresses grow old."""

import pytest

from tests.audio.test_files import write
from tests.helpers.signals import tones
from tests.studio.pages import becomes_loud, delete, done, expected_problems, forgive, opened, until

MESSAGE = "document.getElementById('message').textContent"


@pytest.fixture
def two_songs(shared_studio, tmp_path):
    """The identifiers of a.wav and b.wav, which are separated."""
    jobs = [shared_studio.upload(write(tmp_path / f"{name}.wav", tones(44100))).json()["id"] for name in "ab"]
    for job in jobs:
        shared_studio.wait(job)
    yield jobs
    for job in jobs:
        shared_studio.request("DELETE", f"/api/jobs/{job}")


def choose(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def test_a_song_of_an_old_list_is_said_to_be_deleted(browser, shared_studio, two_songs):
    with opened(browser, shared_studio) as page:
        shared_studio.request("DELETE", f"/api/jobs/{two_songs[0]}")
        with expected_problems(page, "404"):
            choose(page, "a.wav")
            until(page, f"{MESSAGE}.startsWith('This song does not exist')")
        assert page.is_hidden("#player")
        assert page.evaluate("location.hash") == ""
        page.get_by_role("button", name="a.wav", exact=True).wait_for(state="detached")


def test_a_window_that_one_comes_back_to_knows_what_happened_meanwhile(browser, shared_studio, two_songs):
    with opened(browser, shared_studio) as page:
        shared_studio.request("DELETE", f"/api/jobs/{two_songs[0]}")
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        page.get_by_role("button", name="a.wav", exact=True).wait_for(state="detached")


def test_an_address_names_a_song(browser, shared_studio, two_songs):
    one, other = two_songs
    with opened(browser, shared_studio) as page:
        page.evaluate(f"location.hash = '{one}'")
        until(page, "document.getElementById('song').textContent === 'a.wav'")
        page.evaluate("location.hash = '0123456789abcdef'")
        until(page, f"{MESSAGE}.startsWith('This song does not exist')")
        assert page.evaluate("location.hash") == f"#{one}"
        assert page.inner_text("#song") == "a.wav"
        page.evaluate(f"location.hash = '{other}'")
        until(page, "document.getElementById('song').textContent === 'b.wav'")


def test_a_song_is_followed_again_after_a_refusal(browser, held_studio, tmp_path):
    """As that of a proxy while the server behind it starts."""
    with opened(browser, held_studio) as page:
        page.evaluate("""() => {
            const { setTimeout } = window;
            window.setTimeout = (act, milliseconds) => setTimeout(act, Math.min(milliseconds, 100));
        }""")
        refusals = []
        page.route(
            "**/events", lambda route: refusals.append(route.fulfill(status=502)) if not refusals else route.continue_()
        )
        with expected_problems(page, "502"):
            page.select_option("#model", "toy")
            page.set_input_files("#file", str(write(tmp_path / "a.wav", tones(2 * 44100))))
            page.wait_for_selector("#strips .strip")
        held_studio.release()
        done(page)


def test_a_song_that_is_separated_behind_another_is_shown_until_it_is_done(browser, held_studio, tmp_path):
    held_studio.release()
    held_studio.wait(held_studio.upload(write(tmp_path / "a.wav", tones(44100))).json()["id"])
    held_studio.gate.touch()
    with opened(browser, held_studio) as page:
        page.select_option("#model", "toy")
        page.set_input_files("#file", str(write(tmp_path / "b.wav", tones(2 * 44100))))
        page.wait_for_selector("#strips .strip")
        assert page.is_hidden("#queue")  # it is on the screen
        choose(page, "a.wav")
        page.get_by_role("button", name="Cancel: b.wav").wait_for()
        held_studio.release()
        page.wait_for_selector("#queue", state="hidden")
        assert page.locator("#history li .note").all_inner_texts() == ["toy · Done", "toy · Done"]


def test_markers_of_two_windows_are_all_kept(browser, shared_studio, two_songs):
    with opened(browser, shared_studio) as page:
        choose(page, "a.wav")
        other = page.context.new_page()
        other.goto(page.url)
        other.wait_for_selector("#strips .strip")
        mark = "({ seconds }) => { window.unweave.player.seek(seconds); document.getElementById('mark').click(); }"
        page.evaluate(mark, {"seconds": 0.2})
        until(other, "document.querySelectorAll('#markers li').length === 1")
        other.evaluate(mark, {"seconds": 0.6})
        until(page, "document.querySelectorAll('#markers li').length === 2")
        page.evaluate("document.getElementById('practice').open = true")
        page.fill("#bpm", "90")
        page.dispatch_event("#bpm", "change")
        until(other, "document.getElementById('bpm').value === '90'")
        assert "tempo=90" in other.get_attribute("#export-dawproject", "href")


def test_songs_that_are_deleted_together_are_not_said_to_be_missed(browser, shared_studio, two_songs):
    """The first answer arrives while the second song, which is open, is still being deleted."""
    one, other = two_songs
    with opened(browser, shared_studio) as page:
        choose(page, "b.wav")
        page.click("#play")
        becomes_loud(page, "vocals")
        held = []
        page.route(f"**/api/jobs/{other}", lambda route: held.append(route))
        page.route(f"**/api/jobs/{one}", lambda route: route.continue_())
        delete(page, "a.wav")
        delete(page, "b.wav")
        page.get_by_role("button", name="a.wav", exact=True).wait_for(state="detached")
        page.evaluate("window.unweave.player.onDeleted()")
        assert page.is_visible("#player")
        held[0].continue_()
        page.wait_for_selector("#player", state="hidden")
        assert page.text_content("#message") == ""
        forgive(page, "404")  # sounds that were still asked for
