"""Hybrid Transformer Demucs: two U-Nets, over the spectrum and over the samples, joined by a transformer."""
