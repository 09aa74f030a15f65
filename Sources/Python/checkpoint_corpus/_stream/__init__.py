"""What PairStream is made of: options, the stream of the library, its position and state, and what touches torch."""
