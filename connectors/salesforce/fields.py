"""Where completions stand in an organisation and what is written back there: API names that an admin sets."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from bridge.core.models import Value

_NAME: Final = r"[A-Za-z][A-Za-z0-9_]{0,99}"
# Names go into queries and addresses as they are, so nothing but a name is ever accepted.
Name = Annotated[str, StringConstraints(pattern=f"^{_NAME}$")]


def _relations(path: str) -> str:
    wanted = path.replace("__c.", "__r.")
    if wanted != path:
        raise ValueError(f"must have __r where it goes on to another record: {wanted}")
    return path


FieldPath = Annotated[str, StringConstraints(pattern=rf"^{_NAME}(\.{_NAME}){{0,5}}$"), AfterValidator(_relations)]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Fields(Value):
    """Which field of the object says what; with `url` also fields of related records, such as Contact__r.Email."""

    learner: FieldPath = Field("Contact__c", description="The learner's id: usually a lookup to Contact.")
    name: FieldPath | None = Field(
        None, description="The full name, instead of first and last name.", examples=["Contact__r.Name"]
    )
    first_name: FieldPath | None = Field("Contact__r.FirstName", description="The first name.")
    last_name: FieldPath | None = Field("Contact__r.LastName", description="The last name.")
    email: FieldPath | None = Field("Contact__r.Email", description="The e-mail address.")
    course: FieldPath = Field("Course_Name__c", description="What the course is known by: a code, a lookup, a name.")
    course_title: FieldPath | None = Field(
        None, description="The course's title. Default: the same as `course`.", examples=["Course__r.Name"]
    )
    completed_at: FieldPath = Field("Completed_At__c", description="When it was completed: a date or a date and time.")
    score: FieldPath | None = Field(None, description="The result as a number.", examples=["Score__c"])
    locale: FieldPath | None = Field(None, description="The learner's language.", examples=["Contact__r.Language__c"])
    extra: dict[Word, FieldPath] = Field(
        {}, description="More fields for the mapping, by a word of yours: `hours: Hours__c` is `data.fields.hours`."
    )


class WriteBack(Value):
    """What certbridge writes into Salesforce for each certificate; needs `url`."""

    certificate_field: Name | None = Field(
        "Certificate_Id__c", description="Text field of the object that receives the number; null: none."
    )
    url_field: Name | None = Field(
        None, description="Field of the object that receives the address.", examples=["Certificate_URL__c"]
    )
    learner_field: Name | None = Field(
        None,
        description="Text field of the learner's Contact (Lead, Account, User) that holds the latest number.",
        examples=["Last_Certificate_Id__c"],
    )
    task: Literal["learner", "both", "no"] = Field(
        "learner",
        description="A completed task for the timeline. learner: of the Contact or Lead; both: of the record, too; "
        "no: none.",
    )
    task_key_field: Name | None = Field(
        None,
        description="External-id field of Activity, so that a task can never be there twice.",
        examples=["Certificate_Key__c"],
    )
    task_status: str = Field(
        "Completed", min_length=1, max_length=40, description="The status of the task, as your picklist has it."
    )
    pdf: Literal["no", "record", "learner"] = Field(
        "no", description="Attach the PDF as a file. no: nowhere; record: to the record; learner: to the learner."
    )
