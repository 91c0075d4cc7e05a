"""What an errorCode of Salesforce's API stands for, in words for an admin."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

_GONE: Final = "Salesforce has no such record any more (deleted, or merged or converted into another one)."
_RIGHTS: Final = "The integration user may not do this: compare its permission set with certbridge's guide."
# errorCode -> what an admin can do. These stay wrong until a person acts. Messages are translated; codes are not.
# https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm
PERMANENT: Final = MappingProxyType(
    {
        "INVALID_FIELD": "Salesforce has no such field, or the integration user may not see it: give it Read "
        "Access in the permission set (field-level security). Compare the API names with Setup, Object Manager.",
        "INVALID_FIELD_FOR_INSERT_UPDATE": "The integration user may not write this field: give it Edit Access in the "
        "permission set (field-level security). Formula fields cannot be written at all.",
        "INVALID_TYPE": "Salesforce has no such object, or the integration user may not see it. Compare `object` with "
        "its API name (custom ones end in __c).",
        "MALFORMED_QUERY": "Salesforce does not understand the query: a name in the configuration is of another kind "
        "than its place needs.",
        "INVALID_QUERY_FILTER_OPERATOR": "A value in the configuration is of another kind than its field (a text for a "
        "checkbox or an id).",
        "REQUIRED_FIELD_MISSING": "Your organisation requires another field here, which certbridge does not fill.",
        "FIELD_CUSTOM_VALIDATION_EXCEPTION": "A validation rule of your organisation refused this. Let it pass the "
        "integration user.",
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "A trigger or Flow of your organisation failed on this change.",
        "FIELD_INTEGRITY_EXCEPTION": "A value does not fit its field. For a task: Allow Activities must be switched on "
        "for the object, or set `write_back: {task: learner}`.",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "The picklist has no such value; set `write_back: {task_status}` to "
        "one of yours.",
        "STRING_TOO_LONG": "The field is too short; make it at least 32 characters long (255 for an address).",
        "INSUFFICIENT_ACCESS_OR_READONLY": _RIGHTS,
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": _RIGHTS,
        "INVALID_CROSS_REFERENCE_KEY": _GONE,
        "ENTITY_IS_DELETED": _GONE,
        "NOT_FOUND": f"{_GONE} Or the address is wrong: `api_version`, `object`.",
        "MALFORMED_ID": "This is an id of another kind of record.",
        "DUPLICATES_DETECTED": "A duplicate rule of your organisation refused this. Let it pass the integration user.",
        "API_DISABLED_FOR_ORG": "The edition has no API, or the integration user lacks API Enabled.",
        "INVALID_SESSION_ID": "Salesforce refuses even a fresh token. Check the session settings and login IP ranges "
        "of the integration user.",
        "UNSUPPORTED_API_VERSION": "Your organisation does not know this `api_version`.",
    }
)
# errorCode -> why another attempt may help.
TEMPORARY: Final = MappingProxyType(
    {
        "UNABLE_TO_LOCK_ROW": "Somebody else is changing this record.",
        "DUPLICATE_VALUE": "This value is there already: another writer was a moment faster. Looking again.",
        "SERVER_UNAVAILABLE": "Salesforce is not available.",
        "QUERY_TIMEOUT": "The query took too long.",
        "REQUEST_RUNNING_TOO_LONG": "The request took too long.",
        "UNKNOWN_EXCEPTION": "Salesforce had a fault of its own.",
        "API_CURRENTLY_DISABLED": "The API is switched off for the moment.",
        "INVALID_QUERY_LOCATOR": "Salesforce forgot the next page of a long list; the poll goes on where it was.",
        "PROCESSING_HALTED": "Another part of the same request failed.",
    }
)
