"""Exact truth of a rendered pair: geometry, labels, facts and captions."""
