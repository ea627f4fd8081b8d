"""Families of networks, one folder each: description, recognition, graph, PyTorch twin and recipe."""
