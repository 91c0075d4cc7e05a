"""The properties and contacts that a fresh HubSpot stand-in has; all people are invented."""

from __future__ import annotations

from typing import Final

from vendors.hubspot.values import Property

CONTACT_PROPERTIES: Final = (
    Property("hs_object_id", "Record ID", "number", "number", unique=True, read_only=True),
    Property("createdate", "Create date", "datetime", "date"),
    Property("lastmodifieddate", "Last modified date", "datetime", "date", read_only=True),
    Property("email", "Email"),
    Property("hs_additional_emails", "Additional email addresses", read_only=True),
    Property("hs_merged_object_ids", "Merged record IDs", read_only=True),
    Property("firstname", "First name"),
    Property("lastname", "Last name"),
    Property("company", "Company name"),
    Property("hs_language", "Preferred language", "enumeration", "select", ("en", "de", "pt-br")),
    Property("course_id", "Course ID"),
    Property("course_name", "Course name"),
    Property("course_completed_at", "Course completed at", "datetime", "date"),
    Property("course_score", "Course score", "number", "number"),
    Property("course_status", "Course status", "enumeration", "select", ("started", "completed")),
    Property("certificate_id", "Certificate ID"),
    Property("certificate_url", "Certificate link"),
    Property("certificate_issued_at", "Certificate issued", "date", "date"),
)

NOTE_PROPERTIES: Final = (
    Property("hs_object_id", "Record ID", "number", "number", unique=True, read_only=True),
    Property("hs_createdate", "Create date", "datetime", "date", read_only=True),
    Property("hs_lastmodifieddate", "Last modified date", "datetime", "date", read_only=True),
    Property("hs_timestamp", "Activity date", "datetime", "date"),
    Property("hs_note_body", "Note body", "string", "html"),
    Property("hubspot_owner_id", "Activity assigned to", "number", "number"),
    Property("hs_attachment_ids", "Attached file IDs"),
)

CONTACTS: Final = {
    "70000000101": {
        "email": "ada@example.org",
        "firstname": "Ada",
        "lastname": "Örnek-O'Neil & Co",
        "course_id": "safety-1",
        "course_name": 'Intro to "Safety" <Level 1>',
    },
    "70000000102": {
        "email": "ben+courses@example.org",
        "firstname": "Ben",
        "lastname": "Sample",
        "course_id": "safety-1",
        "course_name": 'Intro to "Safety" <Level 1>',
    },
    # Contacts without an address exist: imported, or known by a telephone number only.
    "70000000104": {"course_id": "safety-1", "course_name": 'Intro to "Safety" <Level 1>'},
}
