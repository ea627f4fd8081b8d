"""What the networks of Demucs share, from version 3 on: transforms, recipes, parts of their graphs.

No family of its own: `unweave.families.hdemucs` and `unweave.families.htdemucs` are made of it.
"""
