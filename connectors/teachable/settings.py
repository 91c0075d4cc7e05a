"""What an admin sets for one Teachable school: proof, API, the sweep's budget, and what is written back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from bridge.core.address_token import PreviousUrlToken, UrlToken
from bridge.core.answers import ServiceAddress
from bridge.core.connector import ConnectorSettings
from bridge.core.models import Value
from connectors.teachable import record

_CourseId = Annotated[str, Field(pattern=r"^\d{1,20}$")]


class WriteBack(Value):
    """What certbridge writes into Teachable; nothing, unless you ask for it."""

    src: bool = Field(
        False, description="Write the number of the latest certificate into the learner's sign-up source (src)."
    )
    overwrite: bool = Field(False, description="Also where a sign-up source stands there already; it is lost then.")


class TeachableSettings(ConnectorSettings):
    """One Teachable school. Its webhooks are not signed, so the address is the secret and the API has to confirm."""

    url_token: UrlToken
    previous_url_token: PreviousUrlToken = None
    signing_secret: SecretStr | None = Field(
        None,
        min_length=8,
        description="Only if your deliveries turn out to be signed (HMAC-SHA256): the secret; unsigned ones are then "
        "refused. Teachable documents no signature.",
    )
    api_key: SecretStr | None = Field(
        None, min_length=1, description="The school's API key (Settings, API); needed for all but bare webhooks."
    )
    confirm: bool = Field(
        True, description="Ask Teachable whether a completion is true, and for name and address, before it counts."
    )
    unenrolled: record.Policy = Field(
        "hold", description="For a learner who completed the course and was unenrolled before certbridge could ask."
    )
    sweep_every_days: int = Field(1, ge=1, le=31, description="Days from one sweep through all enrolments to the next.")
    sweep_courses: tuple[_CourseId, ...] = Field((), description="Sweep these course ids only. Default: all courses.")
    calls_per_day: int = Field(
        250, ge=10, le=100_000, description="Requests a day that sweeps may use; a longer sweep goes on the next day."
    )
    write_back: WriteBack = Field(WriteBack(), description="What is written into Teachable for each certificate.")
    api_url: ServiceAddress = Field("https://developers.teachable.com/v1", description="Where Teachable's API is.")

    @model_validator(mode="after")
    def _possible(self) -> TeachableSettings:
        if self.api_key is None and (self.confirm or self.write_back.src):
            raise ValueError(
                "needs api_key or api_key_file (Settings, API in Teachable): certbridge asks Teachable about each "
                "completion, because nobody signs its webhooks. `confirm: no` does without, and believes them all"
            )
        return self
