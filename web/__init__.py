"""The page, and the shapes of what it and other clients exchange with the server."""
