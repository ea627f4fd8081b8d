"""What several tests need: signals, checkpoints of a toy size, bad files, a naive network as an oracle."""
