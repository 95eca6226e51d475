"""A gallery on a Milvus server, for many servers and for more drawings than one machine holds (docs/milvus.md)."""
