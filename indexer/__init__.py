"""From sketches and an encoder to a gallery snapshot on disk. Nobody else writes or reads that format."""
