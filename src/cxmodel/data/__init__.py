"""How rows become blocks: sources, times, identifiers, order, selecting, joining."""
