"""What an admin sets for one Thinkific site: what proves its webhooks, and how to reach its API."""

from __future__ import annotations

from typing import Final

from pydantic import Field, SecretStr, model_validator

from bridge.core.address_token import OptionalUrlToken, PreviousUrlToken
from bridge.core.answers import ServiceAddress
from bridge.core.connector import ConnectorSettings

_ADMIN_API: Final = "/public/v1"


class ThinkificSettings(ConnectorSettings):
    """One Thinkific site: what proves its webhooks, and how to reach its API (for polling and writing back)."""

    signing_secret: SecretStr = Field(
        min_length=8, description="The site's API key (for a public app, its client secret); it signs the webhooks."
    )
    previous_signing_secret: SecretStr | None = Field(
        None, min_length=8, description="The key before, while you change it; still accepted."
    )
    url_token: OptionalUrlToken = None
    previous_url_token: PreviousUrlToken = None
    subdomain: str | None = Field(
        None, pattern=r"^[\w-]{1,100}$", description="SCHOOL of SCHOOL.thinkific.com.", examples=["your-school"]
    )
    api_key: SecretStr | None = Field(None, min_length=1, description="The site's API key; needs `subdomain`.")
    access_token: SecretStr | None = Field(None, min_length=1, description="API access token, instead of `api_key`.")
    api_url: ServiceAddress = Field("https://api.thinkific.com/api/public/v1", description="Where Thinkific's API is.")
    profile_field: str | None = Field(
        None,
        min_length=1,
        description="Label of the custom profile field that receives the certificate number.",
        examples=["Certificate ID"],
    )
    profile_field_by_course: dict[str, str] = Field(
        {}, description="Other labels by course id, so that a learner's certificates do not overwrite each other."
    )

    @model_validator(mode="after")
    def _reachable(self) -> ThinkificSettings:
        if self.api_key and not self.subdomain:
            raise ValueError("api_key needs subdomain (SCHOOL of SCHOOL.thinkific.com)")
        if (self.profile_field or self.profile_field_by_course) and not self.has_api:
            raise ValueError("profile_field needs api_key with subdomain, or access_token")
        return self

    @property
    def has_api(self) -> bool:
        """Whether there is a key for the API."""
        return bool(self.api_key or self.access_token)

    @property
    def webhooks_url(self) -> str:
        """The list of webhooks; it belongs to version 2 of the API, beside the Admin API."""
        return self.api_url.removesuffix(_ADMIN_API) + "/v2/webhooks"

    def headers(self) -> dict[str, str]:
        """Returns the credentials of the Admin API."""
        if self.access_token is not None:
            return {"Authorization": f"Bearer {self.access_token.get_secret_value()}"}
        key = self.api_key.get_secret_value() if self.api_key else ""
        return {"X-Auth-API-Key": key, "X-Auth-Subdomain": self.subdomain or ""}

    def webhook_headers(self) -> dict[str, str]:
        """Returns the credentials of version 2, which takes keys and tokens as Bearer only."""
        secret = self.access_token or self.api_key
        bearer = f"Bearer {secret.get_secret_value()}" if secret else ""
        return {**dict.fromkeys(self.headers(), ""), "Authorization": bearer}
