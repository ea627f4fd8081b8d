"""The exported site in a real Chromium."""

import functools
import http.server
import shutil
import threading
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers import dawproject
from tests.helpers.signals import error_db
from tests.studio import conftest
from tests.studio.pages import PATIENCE, delete, nameless, needs_axe, until, violations
from unweave.audio.tags import Tags
from unweave.dsp.sensitivity import reshared
from unweave.separation.mix import Mix
from unweave.separation.output import OutputOptions, relative_stem_paths
from unweave.separation.projects import PROJECT
from unweave.separation.remix import write_stems
from unweave.studio.export import safe_name
from unweave.studio.web.export import FILES
from unweave.types import Stems

TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Python's own web server, which knows the types of our files on every system, and says nothing."""

    def guess_type(self, path):
        """The type of a file by its name."""
        return TYPES.get(Path(path).suffix) or super().guess_type(path)

    def log_message(self, *_):
        """Nothing."""


@contextmanager
def serving(folder):
    """A server of a folder: its address, and `shutdown`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    server.address = f"http://127.0.0.1:{server.server_port}/"
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def server(site):
    """A server of the site's folder."""
    with serving(site) as server:
        yield server


@pytest.fixture
def page(browser, server):
    """The page, which must raise no error and ask nobody else."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1200, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    problems, foreign = [], []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    context.on("request", lambda request: foreign.append(request.url)
               if not request.url.startswith((server.address, "blob:", "data:")) else None)  # fmt: skip
    page.goto(server.address)
    until(page, "Boolean(window.unweave)")
    yield page
    assert problems == []
    assert foreign == []
    context.close()


def test_a_song_is_separated_without_a_network(page, server, music, native_stems, tmp_path):
    """Loaded once, then cut off: the page comes again, on several threads, and gives the stems of the command."""
    song = music[:, : 4 * 44100]
    until(page, "navigator.serviceWorker.controller !== null")
    server.shutdown()
    server.server_close()
    page.reload()
    until(page, "Boolean(window.unweave)")
    assert page.evaluate("crossOriginIsolated")
    options = page.evaluate("[...document.getElementById('model').options].map(({ text }) => text)")
    assert options == ["Four stems: voice, drums, bass, other", "Five stems: the same plus piano"]
    page.select_option("#quality", "fast")
    page.set_input_files("#file", str(write(tmp_path / "a song.wav", song)))
    page.wait_for_selector("#strips .strip")
    page.wait_for_selector("#job", state="hidden")
    assert page.evaluate("window.unweave.player.job.stems") == ["vocals", "drums", "bass", "other"]
    kept = "import('/database.js').then(({ pieces, SONG }) => pieces(window.unweave.player.job.id, SONG))"
    until(page, f"{kept}.then(({{ length }}) => length === 0)")  # of the song itself

    with page.expect_download() as download:
        page.click("#export-all")
    assert download.value.suggested_filename == "a song (stems).zip"
    download.value.save_as(tmp_path / "stems.zip")
    zipfile.ZipFile(tmp_path / "stems.zip").extractall(tmp_path)
    for stem, expected in native_stems("unweave:4stems", "fast", song).items():
        assert error_db(read(tmp_path / "a song" / f"{stem}.wav"), (expected * 32768).round() / 32768) < -60, stem

    page.click("[data-stem=vocals] [data-what=mute]")
    page.fill("[data-stem=drums] input[data-what=gain]", "-6")
    page.fill("[data-stem=bass] input[data-what=pan]", "0.5")
    page.click("#play")
    until(page, "window.unweave.player.level('drums') > 1e-3")
    assert page.evaluate("window.unweave.player.level('vocals')") < 1e-4
    with page.expect_download() as download:
        page.click("#export-mix")
    assert download.value.suggested_filename == "a song (drums + bass + other).wav"
    download.value.save_as(tmp_path / "mix.wav")
    stems = {stem: read(tmp_path / "a song" / f"{stem}.wav") for stem in ("vocals", "drums", "bass", "other")}
    expected = Mix({"drums": -6}, mute=("vocals",), pans={"bass": 0.5}).apply(stems)
    assert error_db(read(tmp_path / "mix.wav"), expected) < -60
    page.select_option("#format", "flac")
    with page.expect_download() as download:
        page.click("#export-mix")
    assert download.value.suggested_filename == "a song (drums + bass + other).flac"
    download.value.save_as(tmp_path / "mix.flac")
    np.testing.assert_array_equal(read(tmp_path / "mix.flac"), read(tmp_path / "mix.wav"))

    page.fill("[data-stem=vocals] input[data-what=sensitivity]", "0.7")
    page.evaluate("window.unweave.player.metronome.bpm = 97.5")
    page.select_option("#format", "wav")
    mix = Mix({"drums": -6}, mute=("vocals",), pans={"bass": 0.5}, sensitivities={"vocals": 0.7})
    anew = shared_anew(stems, mix)
    assert error_db(saved(page, "mix", tmp_path / "anew.wav"), mix.apply(anew)) < -60
    saved(page, "all", tmp_path / "anew.zip")
    zipfile.ZipFile(tmp_path / "anew.zip").extractall(tmp_path / "anew")
    for stem, expected in anew.items():
        assert error_db(read(tmp_path / "anew" / "a song" / f"{stem}.wav"), expected) < -60
    check_projects(page, tmp_path, stems, mix, anew)
    kept = "import('/database.js').then(({ pieces, SHARED }) => pieces(window.unweave.player.job.id, SHARED))"
    until(page, f"{kept}.then(({{ length }}) => length === 0)")

    assert nameless(page) == []
    page.click("#view-spectra")
    until(page, "document.querySelectorAll('#layers .layer').length === 4")
    page.reload()
    until(page, "Boolean(window.unweave)")
    assert page.inner_text("#song") == "a song.wav"  # kept in the browser, until it is deleted
    delete(page, "a song.wav")
    until(page, "document.querySelectorAll('#history li').length === 0")


def shared_anew(stems, mix):
    """The stems as Python shares them."""
    parts = list(reshared([Stems(stems, 44100)], mix.sensitivities))
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in stems}


def saved(page, what, target):
    """What a link of the page saves: its samples, or the path of what is no audio."""
    page.evaluate("document.getElementById('format').dispatchEvent(new Event('change'))")
    with page.expect_download() as download:
        page.click(f"#export-{what}")
    download.value.save_as(target)
    return read(target) if target.suffix == ".wav" else target


def check_projects(page, folder, stems, mix, anew):
    """The page's projects of "a song" say what Python's say, letter by letter, and hold the same sound."""
    texts = {}
    for codec in ("dawproject", "rpp"):
        options = OutputOptions(codec, bit_depth="24", tempo=97.5)
        below = relative_stem_paths("a song", "a song", list(stems), options)
        paths = {stem: folder / "python" / path for stem, path in below.items()}
        given = [Stems(stems, 44100)]
        write_stems(given, mix, paths, options, sample_rate=44100, n_channels=2, tags=Tags({}))
        texts[codec] = paths
    path = saved(page, "dawproject", folder / "song.dawproject")
    tracks, tempo, _ = dawproject.read(path, folder / "web")
    assert tempo == 97.5
    with zipfile.ZipFile(path) as found, zipfile.ZipFile(texts["dawproject"]["vocals"]) as expected:
        for name in ("project.xml", "metadata.xml"):
            assert found.read(name) == expected.read(name)
    path = saved(page, "rpp", folder / "song.zip")
    zipfile.ZipFile(path).extractall(folder / "web")
    assert (folder / "web" / "a song" / "a song.rpp").read_bytes() == texts["rpp"][PROJECT].read_bytes()
    for track in tracks:
        assert error_db(read(folder / "web" / track.clips[0][2]), anew[track.name]) < -60
        np.testing.assert_array_equal(
            read(folder / "web" / track.clips[0][2]), read(folder / "web" / "a song" / f"{track.name}.wav")
        )


def test_what_is_no_audio_is_said_and_can_be_tried_again(page, tmp_path):
    wrong = tmp_path / "wrong.wav"
    wrong.write_bytes(b"PK\3\4 no song")
    page.set_input_files("#file", str(wrong))
    until(page, "document.getElementById('progress-text').textContent.startsWith('This file contains no audio')")
    assert page.is_visible("#retry")
    assert nameless(page) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("new RangeError('Array buffer allocation failed')", "no_memory"),
        ("new Error('ERROR_CODE: 6, ERROR_MESSAGE: std::bad_alloc')", "no_memory"),
        ("new DOMException('', 'QuotaExceededError')", "disk_full"),
        ("new Error('some fault')", "failed"),
        ("12345", "failed"),
        ("refused('no_audio')", "no_audio"),
    ],
)
def test_errors_of_the_browser_become_sentences(page, error, code):
    script = (
        f"({{ asRefused, refused }}) => {{ const {{ code, values }} = asRefused({error}); return {{ code, values }}; }}"
    )
    found = page.evaluate(f"import('/refused.js').then({script})")
    assert found["code"] == code
    assert code != "failed" or found["values"]["reason"] in error


def test_files_have_the_names_that_the_studio_gives_them(page):
    """With the accents of Macs and the marks of other scripts, not longer than file systems allow, and no devices."""
    letters = {
        "E\u0301tude n° 1.wav": "Étude n_ 1",
        "เพลงที่รัก.mp3": "เพลงที่รัก",
        "\U0001d49c" * 99 + ".wav": "\U0001d49c" * 50,
    }
    letters |= {
        "AC/DC <&> \"'\n{x}.tar.gz": "DC _&_ _'__x_.tar",
        "...": "song",
        ".wav": "wav",
        "a" * 98 + " .b.c": "a" * 98,
        "Aux.mp3": "_Aux",
        "lpt1 .x.mp3": "_lpt1 .x",
        "console.mp3": "console",
    }
    found = page.evaluate("(names) => import('/mix.js').then(({ safeName }) => names.map(safeName))", list(letters))
    assert found == [safe_name(name) for name in letters] == list(letters.values())


def test_files_that_were_being_made_when_the_page_was_closed_leave_nothing(page):
    page.evaluate("""import('/database.js').then(async ({ add, put, SHARED }) => {
        await add({ id: "one", name: "one.wav", state: "done", stems: [], model: "", quality: "fast" }, new Blob([""]));
        await put("one", SHARED - 1, 0, { samples: new Blob(["left"]), n_samples: 1 });
    })""")
    page.reload()
    until(
        page,
        "import('/database.js').then(({ pieces, SHARED }) => pieces('one', SHARED - 1)).then((left) => !left.length)",
    )


def test_songs_can_be_cancelled_and_those_that_were_interrupted_are_taken_up_again(page, music, tmp_path):
    page.set_input_files("#file", str(write(tmp_path / "a song.wav", music)))
    page.wait_for_selector("#strips .strip")
    assert page.evaluate("window.unweave.player.job.state") == "running"
    page.reload()
    page.wait_for_selector("#strips .strip")
    assert page.inner_text("#song") == "a song.wav"
    assert page.evaluate("window.unweave.player.job.state") == "running"
    page.click("#cancel")
    until(page, "document.getElementById('progress-text').textContent.startsWith('Cancelled')")
    page.reload()
    until(page, "Boolean(window.unweave)")
    assert page.evaluate("window.unweave.player.job.state") == "cancelled"


def hold(page):
    """No song is begun until `release` is called in the page."""
    page.evaluate("""new Promise((held) => navigator.locks.request("unweave-separation", () => {
        held();
        return new Promise((release) => { window.release = release; });
    }))""")


@needs_axe
def test_songs_wait_in_an_order_that_can_be_changed(page, tmp_path):
    hold(page)
    songs = [tmp_path / f"{name}.wav" for name in "abc"]
    for song in songs:
        song.write_bytes(b"no song, which is quickly found out")
    page.set_input_files("#file", [str(song) for song in songs])
    until(page, "document.querySelectorAll('#waiting li').length === 3")
    page.get_by_role("button", name="Sooner: c.wav").click()
    until(page, "document.querySelectorAll('#waiting .name')[1].textContent === 'c.wav'")
    assert violations(page) == []
    page.get_by_role("button", name="Cancel: a.wav").click()
    until(page, "document.querySelectorAll('#waiting li').length === 2")
    page.evaluate("""() => {
        window.begun = [];
        new BroadcastChannel("unweave").onmessage = ({ data: { name, state } }) => {
            if (state === "running") window.begun.push(name);
        };
        window.release();
    }""")
    until(page, "window.begun.includes('b.wav')")
    assert page.evaluate("[...new Set(window.begun)]") == ["c.wav", "b.wav"]


def test_a_song_is_separated_in_another_tab_when_its_own_is_closed(page, server, tmp_path):
    hold(page)
    other = page.context.new_page()
    other.goto(server.address)
    until(other, "Boolean(window.unweave)")
    (tmp_path / "a.wav").write_bytes(b"no song, which is quickly found out")
    page.set_input_files("#file", str(tmp_path / "a.wav"))
    until(page, "document.getElementById('song').textContent === 'a.wav'")
    page.close()
    until(other, "import('/database.js').then(({ jobs }) => jobs()).then(([{ state }]) => state === 'failed')")


def test_a_song_that_is_deleted_in_another_tab_is_said_to_be(page, server, tmp_path):
    hold(page)
    (tmp_path / "a.wav").write_bytes(b"no song, which is quickly found out")
    page.set_input_files("#file", str(tmp_path / "a.wav"))
    until(page, "document.getElementById('song').textContent === 'a.wav'")
    other = page.context.new_page()
    other.goto(server.address)
    until(other, "Boolean(window.unweave)")
    delete(other, "a.wav")
    until(page, "document.getElementById('message').textContent.startsWith('This song does not exist')")
    assert page.evaluate("document.getElementById('player').hidden")
    assert other.inner_text("#message") == ""


def test_a_song_of_an_old_list_is_said_to_be_deleted(page, tmp_path):
    hold(page)
    for name in "ab":
        (tmp_path / f"{name}.wav").write_bytes(b"no song, which is quickly found out")
        page.set_input_files("#file", str(tmp_path / f"{name}.wav"))
        until(page, f"document.getElementById('song').textContent === '{name}.wav'")
    page.evaluate("""import("/database.js").then(async ({ jobs, remove }) => {
        for (const { id, name } of await jobs()) if (name === "a.wav") await remove(id);
    })""")
    page.locator("#history").get_by_role("button", name="a.wav", exact=True).click()
    until(page, "document.getElementById('message').textContent.startsWith('This song does not exist')")
    until(page, "document.querySelectorAll('#history .open').length === 1")  # asked for after the message
    assert page.locator("#history .open").all_inner_texts() == ["b.wav"]


def test_a_database_that_the_browser_closes_is_opened_again(page, server, tmp_path):
    """As phones do to pages in the background."""
    page.evaluate("import('/database.js').then(({ jobs }) => jobs())")
    browser = page.context.new_cdp_session(page)
    browser.send("Storage.clearDataForOrigin", {"origin": server.address.rstrip("/"), "storageTypes": "indexeddb"})
    until(page, "import('/database.js').then(({ jobs }) => jobs()).then((jobs) => jobs.length === 0, () => false)")


@pytest.fixture
def installed(browser, site, tmp_path):
    """A site whose files a test may change: its folder, a page for which its service worker answers, its address."""
    folder = shutil.copytree(site, tmp_path / "site")
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    with serving(folder) as server:
        page.goto(server.address)
        until(page, "Boolean(navigator.serviceWorker.controller)")
        yield folder, page, server.address
    context.close()


def test_other_pages_of_the_same_host_are_none_of_the_sites_business(installed):
    folder, page, address = installed
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "index.html").write_text("<h1>Another page</h1>")
    response = page.goto(f"{address}elsewhere")  # to which the server adds a slash
    assert page.inner_text("h1") == "Another page"
    assert "cross-origin-embedder-policy" not in response.headers
    response = page.goto(f"{address}?from=a-friend")
    assert response.headers["cross-origin-embedder-policy"] == "require-corp"


def test_the_worker_that_has_the_song_keeps_to_the_rules_of_the_page(installed):
    """Those of the page do not bind it: it has those that come with its own file."""
    _, page, _ = installed
    rules = page.get_attribute("meta[http-equiv=Content-Security-Policy]", "content")
    assert "connect-src 'self'" in rules
    sent = "fetch('worker.js').then(({ headers }) => headers.get('content-security-policy'))"
    assert page.evaluate(sent) == rules


def test_a_page_without_https_says_what_it_needs(browser, server):
    context = browser.new_context()
    page = context.new_page()
    page.route("http://unweave.example/**", lambda route: route.fulfill(
        response=route.fetch(url=route.request.url.replace("http://unweave.example/", server.address))
    ))  # fmt: skip
    page.goto("http://unweave.example/")
    until(page, "document.getElementById('message').textContent.includes('only works over a secure connection')")
    page.unroute_all(behavior="ignoreErrors")  # files that are still on their way
    context.close()


def test_a_page_keeps_to_its_version_until_its_last_tab_is_closed(installed):
    folder, page, address = installed
    context = page.context
    newer, worker = "// newer", "fetch('worker.js').then((response) => response.text())"
    registration = "navigator.serviceWorker.getRegistration()"
    (folder / "worker.js").write_text(newer)
    (folder / FILES).write_text((folder / FILES).read_text().replace('"version": "', '"version": "f'))
    page.evaluate(f"{registration}.then((registration) => registration.update())")
    until(page, f"{registration}.then(({{ installing }}) => !installing)")
    until(page, f"{registration}.then(({{ active }}) => active.state === 'activated')")
    assert page.evaluate(worker) != newer
    page.reload()
    assert page.evaluate(worker) != newer

    def has_newer():  # a moment after the last tab was closed
        page = context.new_page()
        page.goto(address)
        found = page.evaluate(worker)
        page.close()
        return found == newer

    page.close()
    conftest.until(has_newer)
