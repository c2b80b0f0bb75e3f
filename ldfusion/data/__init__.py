"""Pairs for training and validation: which files, which labels, how they are augmented, rendered scenes."""
