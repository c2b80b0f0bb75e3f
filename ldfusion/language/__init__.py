"""Language guidance: a sentence to a text feature (``text``), a text feature to decoder modulation (``modulation``)."""
