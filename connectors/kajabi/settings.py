"""What an admin sets for one site of Kajabi: proof, API, which tags mean what, and what is written back."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from bridge.core.address_token import PreviousUrlToken, UrlToken
from bridge.core.answers import ServiceAddress
from bridge.core.connector import ConnectorSettings
from bridge.core.models import Value


class WriteBack(Value):
    """What certbridge writes to the contact besides the tags under `tags`."""

    field: str | None = Field(
        None,
        min_length=1,
        examples=["Certificate ID"],
        description="Title of a custom text field that receives the number of the latest certificate.",
    )
    note: bool = Field(True, description="A note about the contact, for staff; holds number and link.")


class KajabiSettings(ConnectorSettings):
    """One site of a Kajabi account. Its webhooks are not signed: the address is the secret, and the API confirms."""

    url_token: UrlToken
    previous_url_token: PreviousUrlToken = None
    client_id: str = Field(
        min_length=1, description="Client ID of an API key (Settings, Public API).", examples=["KAJABI_CLIENT_ID"]
    )
    client_secret: SecretStr = Field(min_length=1, description="Client secret of the same API key.")
    site_id: str = Field(
        pattern=r"^\d{1,20}$",
        description="Id of the site: the number in the admin pages' address.",
        examples=["123456"],
    )
    tags: dict[str, str | None] = Field(
        min_length=1,
        description="Tag that says a course is completed (id or name): tag that marks its certificate as issued "
        "(another one for each course; may be left empty).",
        examples=[{"1001": "2001"}],
    )
    write_back: WriteBack = Field(WriteBack(), description="What is written to the contact for each certificate.")
    api_url: ServiceAddress = Field("https://api.kajabi.com/v1", description="Where Kajabi's API is.")

    @field_validator("tags")
    @classmethod
    def _apart(cls, tags: dict[str, str | None]) -> dict[str, str | None]:
        tags = {tag.strip(): (issued or "").strip() or None for tag, issued in tags.items()}
        markers = [issued for issued in tags.values() if issued]
        names = [name.casefold() for name in (*tags, *markers)]
        if "" in names:
            raise ValueError("a tag has no name")
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            # One marker for two courses would hide everybody who has the first certificate from the second course.
            raise ValueError(f"every tag may stand here once, as a course or as a mark: {', '.join(doubled)}")
        return tags
