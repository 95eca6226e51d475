"""How good the search is: exact leave-one-out mAP, never computed from an approximate index."""
