"""What an admin sets for one organisation of Salesforce: who may send, how to reach it, what to read and write."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from bridge.core.address_token import OptionalUrlToken, PreviousUrlToken
from bridge.core.connector import ConnectorSettings
from connectors.salesforce import ids, signing_key
from connectors.salesforce.fields import FieldPath, Fields, Name, WriteBack


class SalesforceSettings(ConnectorSettings):
    """One organisation (a sandbox is another) and one object of it. With `url` certbridge also asks and writes."""

    entry: Literal["outbound_message", "flow"] = Field(
        "outbound_message",
        description="What is sent to this source. outbound_message: the XML of Outbound Messages; flow: the JSON of a "
        "Flow's HTTP Callout.",
    )
    organization_ids: ids.OrganizationIds = Field(
        (),
        description="Ids of the organisations that may send (Setup, Company Information).",
        examples=[["00D8d000004xYzAEAU"]],
    )
    url_token: OptionalUrlToken = None
    previous_url_token: PreviousUrlToken = None
    callout_token: SecretStr | None = Field(
        None, min_length=8, description="For entry flow: the token that the callout sends in a header."
    )
    previous_callout_token: SecretStr | None = Field(
        None, min_length=8, description="The token before, while you change it; still accepted."
    )
    callout_header: str = Field(
        "Authorization",
        pattern=r"^[A-Za-z][A-Za-z0-9-]{0,60}$",
        description="The header with that token, with or without the word Bearer in front.",
    )
    url: str | None = Field(
        None, description="My Domain of the organisation.", examples=["https://acme.my.salesforce.com"]
    )
    client_id: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="Consumer key of the External Client App.",
        examples=["3MVG9..."],
    )
    client_secret: SecretStr | None = Field(None, min_length=8, description="Its consumer secret.")
    private_key: SecretStr | None = Field(
        None, min_length=8, description="Instead of the secret: RSA key (PEM) whose certificate the app knows."
    )
    username: str | None = Field(
        None,
        max_length=200,
        description="With `private_key`: the user to act as.",
        examples=["certbridge@acme.example"],
    )
    audience: str | None = Field(
        None,
        description="With `private_key`. Default: https://test.salesforce.com for a sandbox's My Domain, else "
        "https://login.salesforce.com.",
        examples=["https://login.salesforce.com"],
    )
    api_version: str = Field("67.0", pattern=r"^[1-9]\d{1,2}\.0$", description="Version of the REST API.")
    object: Name = Field("Course_Completion__c", description="API name of the object that holds completions.")
    fields: Fields = Field(Fields(), description="API names of its fields.")
    one_course: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Id of the course, where the object stands for a single one.",
        examples=["SAFETY-1"],
    )
    completed_field: FieldPath | None = Field(
        None, description="Field that says whether it is completed.", examples=["Status__c"]
    )
    completed_values: tuple[str, ...] = Field(
        ("Completed",), min_length=1, description="The values of that field that count (true for a checkbox)."
    )
    write_back: WriteBack = Field(WriteBack(), description="What is written into Salesforce for each certificate.")

    def paths(self) -> dict[str, str]:
        """Returns the field for each word; those of `extra` as `fields.WORD`, the one of `completed_field`, too."""
        words = {word: path for word in Fields.model_fields if isinstance(path := getattr(self.fields, word), str)}
        words |= {f"fields.{word}": path for word, path in self.fields.extra.items()}
        if self.one_course is not None:
            del words["course"]
        return words if self.completed_field is None else words | {"completed": self.completed_field}

    @field_validator("url")
    @classmethod
    def _my_domain(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url.strip())
        if parts.scheme not in ("https", "http") or not parts.hostname or "@" in url or parts.path not in ("", "/"):
            raise ValueError("is no My Domain. Write it like https://acme.my.salesforce.com")
        if parts.hostname.endswith((".force.com", ".salesforce-setup.com")) or parts.hostname in (
            "login.salesforce.com",
            "test.salesforce.com",
        ):
            raise ValueError(
                "is not where certbridge can sign in; take My Domain (Setup, My Domain): https://acme.my.salesforce.com"
            )
        return url.strip().rstrip("/")

    @field_validator("private_key")
    @classmethod
    def _key(cls, key: SecretStr | None) -> SecretStr | None:
        return None if key is None else signing_key.one_line(key)

    @model_validator(mode="after")
    def _fits_together(self) -> SalesforceSettings:
        problem = _proof_problem(self) or _access_problem(self) or _field_problem(self)
        if problem:
            raise ValueError(problem)
        return self


def _proof_problem(settings: SalesforceSettings) -> str:
    by_message = settings.entry == "outbound_message"
    if not (settings.url_token or settings.url or (settings.callout_token and not by_message)):
        also = "" if by_message else " or callout_token"
        return f"needs url_token{also} (or url, to poll); otherwise anybody could report completions"
    if by_message and settings.url_token and not settings.organization_ids:
        return "needs organization_ids: an Outbound Message says from which organisation it comes, and nothing else"
    return ""


def _access_problem(settings: SalesforceSettings) -> str:
    if settings.url and not (settings.client_id and (settings.client_secret or settings.private_key)):
        return "url needs client_id and client_secret (or private_key with username)"
    if settings.private_key and not settings.username:
        return "private_key needs username, the user to act as"
    return ""


def _field_problem(settings: SalesforceSettings) -> str:
    related = [path for path in settings.paths().values() if "." in path]
    if related and not settings.url:
        return (
            f"fields: {related[0]} belongs to a related record, which a message cannot carry. Set url, so that "
            "certbridge can ask for it, or name a formula field of the object"
        )
    return ""
