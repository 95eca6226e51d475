"""The architectures in torch, one file each, and what they share. Only training, and the export of a net, import them."""
