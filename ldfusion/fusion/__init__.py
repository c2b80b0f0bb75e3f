"""Fusion: the guided decoder and its losses, classical methods, the network of SeAFusion."""
