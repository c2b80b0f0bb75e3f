"""Depth-informed captions of visible and infrared pairs: a network, its decoding and scores, and scene facts in words.

Works on tensors and imports nothing of `ldfusion`, so that it can be used alone. Submodules are imported by name
(`from captioning.facts import write_report`); importing the package itself loads nothing heavy.
"""
