"""Values and rules. Nothing in here reads a file, a clock it was not given, a socket or a database."""
