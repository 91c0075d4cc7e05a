"""How a declared source's sender is answered."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Literal

from pydantic import Field

from bridge.core.declared.signed import Duration
from bridge.core.models import Received, Reply
from bridge.core.section import Section


class ReplyWords(Section):
    """How the sender is answered when its request is stored; a refusal is always JSON with its reason."""

    body: Literal["json", "ids", "text"] = Field(
        default="json", description="json: what became of it; ids: a list of the events' numbers; text: a fixed text."
    )
    text: str = Field(default="OK", max_length=500, description="The fixed text, with body: text.")
    certificate: bool = Field(
        default=False, description="true: the answer holds certificate_id, verify_url and status (with body: json)."
    )
    wait: Duration = Field(
        default=timedelta(0), description="How long such an answer may wait for the certificate; at most 25 seconds."
    )

    def answer(self, received: Received) -> Reply | None:
        """Returns the answer in the sender's dialect, or None where the usual one does."""
        if received.status != 200 or self.body == "json":
            return None
        if self.body == "ids":
            return Reply(200, json.dumps(list(received.events)).encode(), {"Content-Type": "application/json"})
        return Reply(200, self.text.encode(), {"Content-Type": "text/plain; charset=utf-8"})
