"""What the recipe trains on: each source with its licence, and how it is had.

    python sources.py FOLDER

clones the repositories into FOLDER.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Repository:
    """A public repository at one commit; no file outside of ``folder`` is read."""

    name: str  # owner/name
    commit: str
    licence: str
    folder: str = "."
    gives: str = ""

    @property
    def clone_from(self):
        return f"https://github.com/{self.name}"

    def at(self, data):
        """Its folder among the clones."""
        return data / self.name.split("/")[1] / self.folder


STEMS = Repository(
    "ichbinsoftware/everythingisremixed", "HEAD", "CC0-1.0", gives="seven songs as stems, by Software-Entwicklungskit"
)
POP909 = Repository(
    "music-x-lab/POP909-Dataset",
    "d83e6edba6872a704f5d3b8b32f5cb540088dae6",
    "MIT",
    "POP909",
    "melodies and pianos of 909 songs",
)
GROOVE = Repository(
    "zharry29/drums-with-llm",
    "476adbc938a600eaca26bbb02648e6127b5eca64",
    "CC-BY-4.0",
    "groove",
    "the Groove MIDI data set",
)
FREEDOOM = Repository(
    "freedoom/freedoom",
    "d14dbbee3b6fbfb2c11cdb65eb61216e86d4ee85",
    "BSD-3-Clause",
    "musics",
    "112 pieces of a game's music, as notes",
)
# Their makers' terms of use allow editing, other programs and commercial use, and ask for the voice to be named.
KUMI, SCOTTPOID = "terms of Hitsuboku Kumi, by Cubialpha", "terms of SCOTTPOID, by Scott"
INSTRUMENTS = (
    Repository("freepats/electric-bass-YR", "8dcb7ea9116f417273ef8c030d15e7b3aa654301", "CC0-1.0", gives="bass guitar"),
    Repository(
        "freepats/spanish-classical-guitar",
        "6f4eb1b092acc88f5448cea1a0001bd07b971af8",
        "CC0-1.0",
        gives="classical guitar",
    ),
    Repository(
        "freepats/upright-piano-KW", "570f6c60ed2eff67accad3b85d5b452e57a3ad28", "CC0-1.0", gives="upright piano"
    ),
    Repository(
        "sfzinstruments/karoryfer.emilyguitar",
        "b4920dc662fd9cad6dcaccdeecffdd91c8725d8c",
        "CC0-1.0",
        gives="electric guitar",
    ),
    Repository(
        "sfzinstruments/karoryfer.growlybass",
        "4f483268fc66b5a6d5781d421c0d11b8d08d3fc6",
        "CC0-1.0",
        gives="bass guitar",
    ),
    Repository(
        "sfzinstruments/karoryfer.pastabass",
        "90135cd026db5d4fa0fe538240b4203f085f5244",
        "CC0-1.0",
        "samples",
        "bass guitar, four ways to play it",
    ),
    Repository(
        "sfzinstruments/karoryfer.swagbass",
        "9d10fcae71af1975988ddecd5af1c95d372c7355",
        "CC0-1.0",
        "notes",
        "bass guitar",
    ),
    Repository(
        "sfzinstruments/karoryfer.meatbass", "ac9e859564bda286ab5ec672d00ff1aa2fef2895", "CC0-1.0", gives="double bass"
    ),
    Repository(
        "sfzinstruments/karoryfer.shinyguitar",
        "57243cca85277dbcc120ce17c6178032f93c80f3",
        "CC0-1.0",
        gives="archtop guitar",
    ),
    Repository(
        "sfzinstruments/dsmolken.double-bass",
        "c2985eb647109d2a8f30a70071e3e163339d7396",
        "CC0-1.0",
        "pizz",
        "double bass",
    ),
    Repository(
        "sfzinstruments/karoryfer.gogodze-phu-vol-ii",
        "69a0274cdc39c99c3098cde1bc3789690de86d62",
        "CC0-1.0",
        "Samples",
        "drum kit",
    ),
    Repository(
        "sfzinstruments/karoryfer.frankensnare",
        "9151c2d79fcbb73c65d63f78918d4ba7abc91a81",
        "CC0-1.0",
        "Samples",
        "snare drums",
    ),
    Repository(
        "oramics/sampled",
        "84d3405e107ad52986e7ca99af6a4ed3efe205de",
        "CC-BY-3.0",
        "DRUMS/pearl-master-studio",
        "the drum kit Pearl Master Studio, by enoe",
    ),
    Repository(
        "smpldsnds/drum-machines",
        "a894cb8c72abe15b05e7b4fd4b8ee561c0f9e960",
        "public domain",
        gives="drum machines",
    ),
    Repository(
        "sfzinstruments/DrumGizmo.MuldjordKit",
        "fc165714974aa843125ce88597f341b31376e1d5",
        "CC-BY-4.0",
        gives="drum kit, by Lars Muldjord",
    ),
    Repository(
        "sfzinstruments/BengtNilsson.HeadroomPiano",
        "2a7df3f7252227a3484202c1d61bc1bfe352a971",
        "CC-BY-4.0",
        gives="grand piano, by Bengt Nilsson",
    ),
    Repository(
        "sfzinstruments/Discord-SFZ-GM-Bank",
        "7a9c478fe331f94f246d33332f0adedb25bbbe27",
        "CC0-1.0",
        "Discord GM/Melodic",
        "bass guitar by Karoryfer and steel-string guitar by Jeff Learman; nothing else of the bank is read",
    ),
    Repository(
        "sfzinstruments/GregSullivan.E-Pianos",
        "8c3e581acda3594b553948ff0222d4f84a698376",
        "CC-BY-3.0",
        gives="three electric pianos, by Greg Sullivan",
    ),
    Repository(
        "sfzinstruments/karoryfer.caveman-cosmonaut",
        "9de9bcfcbc6d2b20bea5c1116cd07a310febc339",
        "CC0-1.0",
        "Samples",
        "transistor organ",
    ),
    Repository(
        "sfzinstruments/karoryfer.weresax",
        "595d1fc1044edf6260d44b8215b723a3fbdd1802",
        "CC0-1.0",
        "Samples",
        "alto saxophone",
    ),
    Repository(
        "sfzinstruments/karoryfer.bear-sax",
        "7abb3c652525a15dfac80e1b5dfbba9964ee568f",
        "CC0-1.0",
        "Samples",
        "baritone saxophone",
    ),
    Repository(
        "tidalcycles/uzu-drumkit",
        "2f3e05c70ab4d73ad053a1467adec89bd27377a0",
        "Unlicense",
        gives="electronic drum kit, by Mot4i and Switch Angel, without its break",
    ),
    Repository("oxygen-dioxide/hitsuboku-kumi-chn", "0b7ff99fe0001f55b6143f8fba8a12d2fdebad58", KUMI, gives="voice"),
    Repository("oxygen-dioxide/scottpoid-ja", "36c13b1ca28c35a739e70ef309ca129dccc08578", SCOTTPOID, gives="voice"),
    Repository(
        "sfzinstruments/SplendidGrandPiano",
        "1c595d827b7fd7f0be3134aaed0f90b3662a09cf",
        "public domain",
        gives="grand piano, by AKAI",
    ),
)

# Programs, sound fonts and songs from Debian; what is rendered with a sound font carries its licence.
PYTHON = "mido pedalboard soundfile soxr"
SOUND_FONTS = ("/usr/share/sounds/sf2/FluidR3_GM.sf2", "/usr/share/sounds/sf3/MuseScore_General.sf3")
DRUM_FONTS = ("/usr/share/sounds/sf2/Black_Pearl_4_LV2.sf2", "/usr/share/sounds/sf2/Red_Zeppelin_4_LV2.sf2")
HYDROGEN, SONIC_PI = "/usr/share/hydrogen/data/drumkits", "/usr/share/sonic-pi/samples"
GUITARS = {  # the guitar's own track of each song
    "/usr/share/games/fretsonfire/data/songs/muldjord": "CC-BY-SA-3.0",
    "/usr/share/games/fretsonfire/data/songs/sectoid": "MIT",
}
SUPERTUXKART, RED_ECLIPSE = "/usr/share/games/supertuxkart/data", "/usr/share/games/redeclipse/data"
SONGS = (  # folder, names, licence of instrumental songs that have no stems; those under the GPL alone stay out
    (
        f"{SUPERTUXKART}/music",
        "Lava SkyVibe-HighFrequency Snowy West bay celtic demonhill egypt farm garden hacienda "
        "jumping_to_the_stars_remake kart_grand_prix landing_in_gran_paradiso menutheme overworld ravenbridge_mansion "
        "subsea valley win_theme xeon6",
        "CC-BY-SA-3.0",
    ),
    (f"{SUPERTUXKART}/music", "Boom_boom_boom alien_signal", "CC-BY-SA-4.0"),
    (f"{SUPERTUXKART}/tracks/ancient_colosseum_labyrinth", "Battle_Theme_1", "CC-BY-4.0"),
    (f"{RED_ECLIPSE}/sounds/music", "track_*", "CC-BY-SA-3.0"),
    (f"{RED_ECLIPSE}/maps", "tonatiuh", "CC0-1.0"),
    # The band around the guitars. Muldjord's is left out: their singer growls, which the networks take for drums.
    ("/usr/share/games/fretsonfire/data/songs/sectoid", "*/song", "MIT"),
)
FROM_DEBIAN = (  # package, licence, what it gives
    ("fluid-soundfont-gm", "MIT", "FluidR3, a sound font by Frank Wen"),
    ("musescore-general-soundfont", "MIT", "a sound font by S. Christian Collins"),
    ("avldrums.lv2-soundfont", "CC-BY-SA-3.0", "two drum kits, by Glen MacArthur"),
    # Of Hydrogen's kits only those whose makers leave the sounds free for compositions; no others are read.
    ("hydrogen-drumkits", "CC-BY-SA-3.0", "the drum kit BJA_Pacific, by Luc Tunguay"),
    (
        "hydrogen-drumkits",
        "GPL-2+ with an exception for compositions",
        "ColomboAcousticDrumkit, by Marcos Guglielmetti",
    ),
    ("hydrogen-drumkits", "all rights granted", "ElectricEmpireKit, HardElectro1 and VariBreaks, by Artemiy Pavlov"),
    ("sonic-pi-samples", "CC0-1.0", "drum sounds"),
    ("fretsonfire-songs-muldjord", "CC-BY-SA-3.0", "the guitars of four songs, by Muldjord"),
    ("fretsonfire-songs-sectoid", "MIT", "four songs and their guitars, by Carlos Viola Iborra"),
    (
        "supertuxkart-data",
        "CC-BY-SA-3.0",
        "songs by 0zone0ne, Chris Leutwyler (Krobonil), Claude Werner (bollen), DJ Helium, GeekPenguinBR, Heuchi1, "
        "Kalsan, Speedsound with Constantin Pelikan, Weirwood, and one that Bart Kelsey commissioned",
    ),
    ("supertuxkart-data", "CC-BY-SA-4.0", "songs by Keith Baylis (Vim) and Heuchi1"),
    ("supertuxkart-data", "CC-BY-4.0", "a song by Alexandr Zhelanov"),
    ("redeclipse-data", "CC-BY-SA-3.0", "twelve songs by Derek Stegall (JoJo)"),
    ("redeclipse-data", "CC0-1.0", "a song by yd"),
)
DEBIAN = " ".join(["mma", "fluidsynth", *dict.fromkeys(package for package, _, _ in FROM_DEBIAN)])
STYLES = "/usr/share/mma/lib"  # accompaniment styles of MMA (GPL-2+; they drive the rendering and are not in it)
RENDERED_LICENCE = "CC-BY-SA-3.0"  # the strictest of what rendered parts are made of


def all_credits():
    """Rows for a model card: where from, at which commit, licence, what."""
    for source in (STEMS, POP909, GROOVE, FREEDOOM, *INSTRUMENTS):
        yield source.name, source.commit[:10], source.licence, source.gives
    for package, licence, gives in FROM_DEBIAN:
        yield f"Debian: {package}", "", licence, gives


def clone_all(data):
    """Clone every repository at its commit into ``data``, those that are there already left alone."""
    for repository in (POP909, GROOVE, FREEDOOM, *INSTRUMENTS):
        folder = data / repository.name.split("/")[1]
        if not folder.exists():
            subprocess.run(["git", "clone", "--no-checkout", repository.clone_from, folder], check=True)
            subprocess.run(["git", "-C", folder, "checkout", repository.commit, "--", repository.folder], check=True)


if __name__ == "__main__":
    clone_all(Path(sys.argv[1]))
