"""What an admin lets certbridge write into HubSpot, and how properties are named."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from bridge.core.models import Value

PROPERTY: Final = r"^\w{1,100}$"


def _internal_name(name: str) -> str:
    if not re.fullmatch(PROPERTY, name):
        raise ValueError("is no internal name of a property: HubSpot shows that under </> beside the label")
    return name


Property = Annotated[str, AfterValidator(_internal_name)]


class WriteBack(Value):
    """What certbridge writes into HubSpot once a certificate is issued; needs `token`."""

    certificate_property: str | None = Field(
        "certificate_id",
        pattern=PROPERTY,
        description="Contact property (single-line text) for the number of the latest certificate; null: none.",
    )
    property_by_course: dict[str, Property] = Field(
        {}, description="Other properties by course, so that a contact's certificates do not overwrite each other."
    )
    url_property: str | None = Field(
        None,
        pattern=PROPERTY,
        examples=["certificate_url"],
        description="Contact property (single-line text) for the certificate's link.",
    )
    issued_property: str | None = Field(
        None,
        pattern=PROPERTY,
        examples=["certificate_issued_on"],
        description="Contact property (date) for the day on which it was issued.",
    )
    note: bool = Field(True, description="A note on the contact's timeline with number, course and link.")
    event: str | None = Field(
        None,
        pattern=r"^pe\d+_\w{1,100}$",
        examples=["pe50100100_certificate_issued"],
        description="Full name of a custom event to send (HubSpot Enterprise).",
    )
    event_property: str = Field(
        "certificate_id", pattern=PROPERTY, description="Property of that event that receives the number."
    )

    @model_validator(mode="after")
    def _whose_day(self) -> WriteBack:
        number = self.certificate_property if not self.property_by_course else None
        if self.issued_property and not (self.url_property or number):
            also = " (with property_by_course the numbers stand apart)" if self.property_by_course else ""
            raise ValueError(f"issued_property needs url_property{also}: a day alone does not say whose it is")
        return self
