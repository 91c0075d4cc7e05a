"""One module (or small package) per source system; each knows `bridge.core` and nothing else of ours."""
