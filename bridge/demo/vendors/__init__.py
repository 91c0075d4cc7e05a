"""Stand-ins for vendors' APIs: small real HTTP servers, strict about our requests and faithful in their answers."""
