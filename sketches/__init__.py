"""What a sketch is: strokes, their file formats, and the one rasteriser. Every other room needs this one."""

import cv2

# One drawing is too little to share between threads, and OpenCV's pool of them hangs in the forked workers of training.
cv2.setNumThreads(1)
