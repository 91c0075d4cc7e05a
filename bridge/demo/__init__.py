"""`certbridge demo`: the whole loop on one machine, with stand-ins for the vendors' APIs."""
