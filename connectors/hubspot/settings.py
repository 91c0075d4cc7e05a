"""What an admin sets for one HubSpot account: proof of its webhooks, its API, and which properties mean what."""

from __future__ import annotations

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from bridge.core.address_token import OptionalUrlToken, PreviousUrlToken
from bridge.core.answers import ServiceAddress
from bridge.core.connector import ConnectorSettings
from connectors.hubspot.written import PROPERTY, Property, WriteBack


class HubSpotSettings(ConnectorSettings):
    """One HubSpot account. What it takes from HubSpot needs `client_secret` or `api_key`; asking HubSpot, `token`."""

    client_secret: SecretStr | None = Field(
        None, min_length=8, description="The app's client secret, which signs webhooks (not the token pat-...)."
    )
    previous_client_secret: SecretStr | None = Field(
        None, min_length=8, description="The client secret before, while you change it; still accepted."
    )
    api_key: SecretStr | None = Field(
        None,
        min_length=8,
        description="The secret of a workflow webhook with API key instead of a signature; without the word Bearer.",
    )
    previous_api_key: SecretStr | None = Field(
        None, min_length=8, description="The API key before, while you change it; still accepted."
    )
    api_key_header: str = Field(
        "X-API-Key",
        pattern=r"^[A-Za-z0-9-]{1,60}$",
        description="The header that brings the API key: the workflow's API key name, location request header.",
    )
    url_token: OptionalUrlToken = None
    previous_url_token: PreviousUrlToken = None
    portal_id: str | None = Field(
        None,
        pattern=r"^\d{1,20}$",
        examples=["50100100"],
        description="The account's Hub ID; events of other accounts are skipped. Needed for webhooks of an app.",
    )
    token: SecretStr | None = Field(
        None, min_length=8, description="Access token of the app, or a service key (pat-...), to read and write back."
    )
    completed_property: str | None = Field(
        None,
        pattern=PROPERTY,
        examples=["course_completed_at"],
        description="Internal name of the contact property that is filled when a course is completed: a date, "
        "a date with time, a checkbox, or a status (see `completed_value`).",
    )
    completed_value: str | None = Field(
        None, min_length=1, examples=["completed"], description="Of a status: the internal name that means completed."
    )
    completed_at_property: str | None = Field(
        None,
        pattern=PROPERTY,
        examples=["course_completed_on"],
        description="Contact property with the date, where `completed_property` is a checkbox or a status.",
    )
    course_property: str | None = Field(
        None,
        pattern=PROPERTY,
        examples=["course_name"],
        description="Contact property that names the course; what it holds is the course in the mapping.",
    )
    courses: dict[Property, str] = Field(
        {},
        examples=[{"fire_safety_completed_on": "fire-safety"}],
        description="One property per course instead: the property that is filled on completion, and its course.",
    )
    course: str | None = Field(
        None, min_length=1, examples=["fire-safety"], description="The course where HubSpot names none."
    )
    score_property: str | None = Field(
        None, pattern=PROPERTY, examples=["course_score"], description="Contact property with the grade."
    )
    properties: tuple[Property, ...] = Field(
        (), examples=[["company"]], description="More contact properties that your mapping uses (data.properties)."
    )
    api_url: ServiceAddress = Field("https://api.hubapi.com", description="Where HubSpot's API is.")
    api_prefix: str = Field(
        "/crm/v3",
        pattern=r"^(/[\w-]+)+$",
        examples=["/crm/objects/2026-09"],
        description="Where the CRM is below that address; a version by date ends in it.",
    )
    write_back: WriteBack = Field(WriteBack(), description="What is written into HubSpot for each certificate.")

    @property
    def watched(self) -> dict[str, str | None]:
        """The properties that tell of a completion, each with its course (None: `course_property` says which)."""
        if self.courses:
            return dict(self.courses)
        return {self.completed_property: None} if self.completed_property else {}

    @property
    def read_properties(self) -> list[str]:
        """Every contact property that is asked for, in the order of a contact's own first."""
        named = [self.completed_at_property, self.course_property, self.score_property, *self.properties]
        own = ["email", "firstname", "lastname", "hs_language", "hs_merged_object_ids"]
        return list(dict.fromkeys([*own, *self.watched, *filter(None, named)]))

    def certificate_property(self, course: str | None) -> str | None:
        """Returns the property that receives the certificate number of this course."""
        return self.write_back.property_by_course.get(course or "", self.write_back.certificate_property)

    @property
    def written(self) -> frozenset[str]:
        """The contact properties that certbridge itself writes."""
        back = self.write_back
        single = {back.certificate_property, back.url_property, back.issued_property}
        return frozenset(name for name in (*single, *back.property_by_course.values()) if name)

    @field_validator("client_secret", "api_key", "token")
    @classmethod
    def _secret_of_its_kind(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        said = secret.get_secret_value().lower() if secret else ""
        if said.startswith("bearer "):
            raise ValueError("must not begin with the word Bearer: leave that word out here")
        if info.field_name == "client_secret" and said.startswith("pat-"):
            raise ValueError(
                "is an access token (pat-...), which belongs into `token`. The client secret is another one"
            )
        return secret

    @model_validator(mode="after")
    def _usable(self) -> HubSpotSettings:
        if not (self.client_secret or self.api_key or self.token):
            raise ValueError("needs client_secret or api_key (to receive webhooks), or token (to poll)")
        # A contact's number means somebody else in another account: the token must not look up foreign ones.
        if self.client_secret and self.token and not self.portal_id:
            raise ValueError("client_secret and token together need portal_id (the Hub ID of the account)")
        if self.courses and self.completed_property:
            raise ValueError("has completed_property and courses; set the one that your properties are made for")
        means = {*self.watched, self.completed_at_property, self.course_property, self.score_property}
        if overlap := self.written & means:
            raise ValueError(f"write_back would write into {min(overlap)}, which certbridge reads from")
        return self
