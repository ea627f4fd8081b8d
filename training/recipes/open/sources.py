"""What the recipe trains on: each source with its licence, and how it is had."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Repository:
    """A public repository at one commit; no file outside of ``folder`` is read."""

    name: str  # owner/name
    commit: str
    folder: str
    licence: str

    @property
    def clone_from(self):
        return f"https://github.com/{self.name}"


POP909 = Repository("music-x-lab/POP909-Dataset", "d83e6edba6872a704f5d3b8b32f5cb540088dae6", "POP909", "MIT")
GROOVE = Repository("zharry29/drums-with-llm", "476adbc938a600eaca26bbb02648e6127b5eca64", "groove", "CC-BY-4.0")
STEMS = Repository("ichbinsoftware/everythingisremixed", "HEAD", ".", "CC0-1.0")

# Programs and sound fonts from Debian; what is rendered with them carries the sound fonts' licence.
DEBIAN = "mma fluidsynth fluid-soundfont-gm musescore-general-soundfont"
SOUND_FONTS = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",  # Frank Wen, MIT
    "/usr/share/sounds/sf3/MuseScore_General.sf3",  # S. Christian Collins, MIT
)
STYLES = "/usr/share/mma/lib"  # accompaniment styles of MMA (GPL-2+; they drive the rendering and are not in it)
RENDERED_LICENCE = "MIT"
