"""What a sketch is: strokes, their file formats, and the one rasteriser. Every other room needs this one."""
