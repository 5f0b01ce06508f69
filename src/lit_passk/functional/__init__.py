"""Pure tensor functions: the arithmetic of the library, without Lightning and without state."""
