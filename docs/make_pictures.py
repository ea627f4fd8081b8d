"""The pictures of the studio in docs/pictures, from the studio itself.

    python docs/make_pictures.py SONG [--model unweave:4stems-cascade]

Needs the packages of the extras studio and test, and Chromium.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).parent / "pictures"
VIEWS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1180, "height": 860}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1180, "height": 860}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "is_mobile": True},
}
WAVES_TO_COME = "Object.values(window.unweave.strips.rows).some(({ heights }) => heights.length < 4000)"
LAYERS_TO_COME = """document.querySelectorAll("#strips .strip").length
    - performance.getEntriesByType("resource").filter(({ name }) => name.includes("spectrogram.png")).length"""
# What one practises with: a marker, a loop, a tempo, a closer look.
PRACTISE = """() => {
    const { player, strips } = window.unweave;
    const set = (id, value) => {
        document.getElementById(id).value = value;
        document.getElementById(id).dispatchEvent(new Event("change", { bubbles: true }));
    };
    document.getElementById("practice").open = true;
    set("bpm", 112);
    set("rate", 0.75);
    player.seek(0.4 * player.length);
    document.getElementById("mark").click();
    player.loop = [0.4 * player.length, 0.55 * player.length];
    strips.zoom(2, 0.5);
}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("song", type=Path)
    parser.add_argument("--model", default="unweave:4stems-cascade")
    arguments = parser.parse_args()
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        command = [sys.executable, "-m", "unweave", "studio", "--port", "0", "--no-browser", "--folder", folder]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        address = re.search(r"http://\S+", server.stderr.readline()).group()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            for name, view in VIEWS.items():
                page = browser.new_context(**view, locale="en-GB").new_page()
                page.goto(address)
                if name == "light":
                    page.wait_for_selector(f"#model option[value='{arguments.model}']", state="attached")
                    page.select_option("#model", arguments.model)
                    page.set_input_files("#file", str(arguments.song))
                    page.wait_for_selector("#strips .strip", timeout=120_000)
                else:
                    page.click("#history .open")
                page.wait_for_selector("#job", state="hidden", timeout=300_000)
                while page.evaluate(WAVES_TO_COME):
                    page.wait_for_timeout(200)
                page.wait_for_timeout(500)
                page.screenshot(path=PICTURES / f"studio-{name}.png", full_page=name == "phone")
                if name == "dark":
                    page.click("#view-spectra")
                    while page.evaluate(LAYERS_TO_COME) > 0:
                        page.wait_for_timeout(200)
                    page.wait_for_timeout(500)
                    page.screenshot(path=PICTURES / "studio-spectrogram.png")
                if name == "light":
                    page.evaluate(PRACTISE)
                    page.wait_for_timeout(800)
                    page.locator("#player").screenshot(path=PICTURES / "studio-practice.png")
        finally:
            browser.close()
            server.terminate()


if __name__ == "__main__":
    main()
