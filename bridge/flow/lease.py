"""What happens to work whose lease was taken over by somebody else: its results are thrown away."""

from __future__ import annotations

from bridge.core.errors import BridgeError


class LostLeaseError(BridgeError):
    """Another worker took this row over; whatever was done here is discarded."""

    code = "lost_lease"
