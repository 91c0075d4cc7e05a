"""What an admin sets for one Moodle: how to reach it, what proves a webhook, what is polled, what is written back."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from bridge.core.address_token import OptionalUrlToken, PreviousUrlToken
from bridge.core.connector import ConnectorSettings
from bridge.core.domains import ascii_address
from bridge.core.models import Value
from bridge.core.signatures import standard_webhooks_key

Plugin = Literal["local_webhooks", "tool_trigger", "logstore_xapi", "local_webhookengine"]
_SHORT_NAME = r"^\w{1,100}$"


class Poll(Value):
    """How Moodle is asked for completions, beside or instead of a plugin that reports them."""

    report: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Name or number of a custom report (Report builder) over the whole site.",
        examples=["Recent completions"],
    )
    courses: Literal["all"] | tuple[str, ...] | None = Field(
        None,
        description="Without a report: course ids whose enrolments are looked through, or `all` (every visible course "
        "with completion). Default: all, if no webhook is set up; else none.",
        examples=["all"],
    )

    @field_validator("courses")
    @classmethod
    def _course_ids(cls, courses: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        wrong = [one for one in courses if not (one.isascii() and one.isdigit())] if isinstance(courses, tuple) else []
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no course id; it is the number at the end of a course's address")
        return courses


class WriteBack(Value):
    """What certbridge writes into Moodle once a certificate is issued."""

    note: bool = Field(True, description="A note in the course, about the learner, for staff; holds number and link.")
    profile_field: str | None = Field(
        None,
        pattern=_SHORT_NAME,
        examples=["certificateid"],
        description="Short name of a text profile field that receives the number of the latest certificate.",
    )
    profile_list: str | None = Field(
        None,
        pattern=_SHORT_NAME,
        examples=["certificates"],
        description="Short name of a text area profile field that receives the list of all certificates (JSON).",
    )
    activities: dict[str, str] = Field(
        {},
        description="By course id: an activity (the number in its address, view.php?id=) that is ticked as completed.",
        examples=[{"2": "31"}],
    )
    message: bool = Field(False, description="A message in Moodle to the learner, with the link; sent once.")

    @field_validator("activities")
    @classmethod
    def _numbers(cls, activities: dict[str, str]) -> dict[str, str]:
        for number in (*activities, *activities.values()):
            if not (number.isascii() and number.isdigit()):
                raise ValueError(f"{number!r} is no number; write it like {{2: 31}} (course id: activity number)")
        return activities


class MoodleSettings(ConnectorSettings):
    """One Moodle site. Without `webhook_token` and `url_token` it is only polled; if both are set, both must fit."""

    url: str = Field(
        description="The address of the site as learners see it.", examples=["https://moodle.school.example"]
    )
    token: SecretStr = Field(min_length=1, description="Web service token of the service account (REST protocol).")
    plugin: Plugin = Field(
        "local_webhooks", description="The plugin in Moodle that reports completions, if one does. See the guide."
    )
    webhook_token: SecretStr | None = Field(
        None,
        min_length=8,
        description="The secret that is entered in the plugin: the field Token of local_webhooks, the header of "
        "tool_trigger, the password of logstore_xapi, the signing secret (whsec_...) of local_webhookengine.",
    )
    previous_webhook_token: SecretStr | None = Field(
        None, min_length=8, description="That secret before, while you change it; still accepted."
    )
    token_header: str = Field(
        "X-Certbridge-Token",
        pattern=r"^[A-Za-z0-9-]{1,60}$",
        description="With tool_trigger: the header in which the workflow sends webhook_token.",
    )
    url_token: OptionalUrlToken = None
    previous_url_token: PreviousUrlToken = None
    score: bool = Field(False, description="Also fetch the course total from the gradebook (for `issue_if: {score}`).")
    poll: Poll = Field(Poll(), description="How Moodle is asked for completions that no webhook reported.")
    write_back: WriteBack = Field(WriteBack(), description="What is written into Moodle for each certificate.")

    @field_validator("url")
    @classmethod
    def _site_root(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment or "@" in url:
            raise ValueError("is no site address; write it like https://moodle.school.example")
        return ascii_address(url.strip().rstrip("/"))

    @model_validator(mode="after")
    def _proof(self) -> MoodleSettings:
        if self.plugin in ("logstore_xapi", "local_webhookengine") and self.url_token and not self.webhook_token:
            raise ValueError(f"plugin {self.plugin} needs webhook_token (url_token alone is not enough for it)")
        if self.plugin == "local_webhookengine":
            for secret in filter(None, (self.webhook_token, self.previous_webhook_token)):
                if standard_webhooks_key(secret).shared is None:
                    raise ValueError("the signing secret of Event Webhooks begins with whsec_; this is another key")
        return self

    @property
    def polled_courses(self) -> Literal["all"] | tuple[str, ...] | None:
        """The courses whose enrolments are polled; None: none are."""
        if self.poll.report is not None:
            return None
        only_polled = not (self.webhook_token or self.url_token)
        return "all" if self.poll.courses is None and only_polled else self.poll.courses
