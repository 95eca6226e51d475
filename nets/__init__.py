"""From raster to embedding: the nets, their checkpoints, the encoder that joins both, and training."""
