"""The words of the public pages in each language they speak; whatever needs a grammar of its own stays out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One language. `{…}` is filled with our own dates and numbers, never with text from outside."""

    code: str
    name: str
    months: tuple[str, ...]
    date_form: str

    test_banner: str
    test: str
    test_text: str
    test_else: str
    valid: str
    valid_text: str
    expired: str
    expired_text: str
    revoked: str
    revoked_text: str
    revoked_reason: str
    erased: str
    erased_text: str
    corrected: str
    corrected_on: str
    renewed_by: str

    awarded_to: str
    completed: str
    issuer: str
    completed_on: str
    issued_on: str
    expires_on: str
    never_expires: str
    renews: str
    certificate_id: str
    open_pdf: str
    how_to_read: str
    how_to_read_gone: str
    dates_as_in: str
    checked_on: str

    find: str
    find_text: str
    find_label: str
    find_button: str
    find_hint: str
    mistyped: str
    you_typed: str
    wrong_length: str
    wrong_symbol: str
    wrong_check: str
    look_again: str
    unknown: str
    unknown_text: str
    no_pdf: str
    no_pdf_text: str
    back: str
    refusals: dict[int, tuple[str, str]]
    refusal: tuple[str, str]

    def date(self, day: date) -> str:
        """Writes a civil date as people of this language do."""
        return self.date_form.format(day=day.day, month=self.months[day.month - 1], year=day.year)


ENGLISH: Final = Words(
    code="en",
    name="English",
    months=(
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    date_form="{day} {month} {year}",
    test_banner="Test – certifies nothing",
    test="Test, not a certificate",
    test_text="It was made to try things out. Nobody completed anything, and nobody should rely on it.",
    test_else="If it were real, this page would say: {status}.",
    valid="Valid",
    valid_text="This certificate is genuine and in force.",
    expired="Expired",
    expired_text="This certificate is genuine, but it expired on {date}.",
    revoked="Revoked",
    revoked_text="The issuer withdrew this certificate on {date}. Do not rely on it.",
    revoked_reason="Reason given:",
    erased="Erased",
    erased_text="This certificate existed, but its personal details were erased. It can no longer be confirmed.",
    corrected="Corrected: this is version {n}. A copy that says anything else is out of date.",
    corrected_on="Corrected on {date}: this is version {n}. A copy that says anything else is out of date.",
    renewed_by="It was renewed by a later certificate:",
    awarded_to="Awarded to",
    completed="for completing",
    issuer="Issued by",
    completed_on="Completed",
    issued_on="Issued",
    expires_on="Valid until",
    never_expires="No expiry date",
    renews="Renews",
    certificate_id="Certificate id",
    open_pdf="Open the PDF",
    how_to_read="How to read this: the name, the course and the id must be the same as on the document before you, "
    "and the address at the top of your browser must be on",
    how_to_read_gone="How to read this: whatever a document with this id says, only this page counts, "
    "as long as the address at the top of your browser is on",
    dates_as_in="Dates are those of the time zone {zone}.",
    checked_on="Checked on {date}.",
    find="Check a certificate",
    find_text="Type the id that is printed on the certificate, or paste its link.",
    find_label="Certificate id",
    find_button="Check",
    find_hint="17 letters and digits. Hyphens, spaces and capitals do not matter.",
    mistyped="This id is mistyped",
    you_typed="You typed",
    wrong_length="It has {n} letters and digits; a certificate id has {length}.",
    wrong_symbol="It contains characters that no certificate id uses:",
    wrong_check="The number of letters and digits is right, but they do not fit together: "
    "at least one is wrong, or two are swapped.",
    look_again="Compare it with the certificate, one group at a time, and try again. "
    "Nothing is wrong with the certificate itself.",
    unknown="No such certificate",
    unknown_text="This id is well formed, but no certificate carries it. "
    "If a document shows it, that document was not issued here.",
    no_pdf="No PDF",
    no_pdf_text="There is no PDF of this certificate at the moment. Its page tells you where it stands.",
    back="Check another certificate",
    refusals={
        400: ("Not understood", "Your browser sent something that cannot be answered here."),
        404: ("Nothing here", "No page has this address. Is the link complete?"),
        405: ("Not this way", "This address does not take what was sent to it."),
        414: ("Too long", "This address is too long to be one of ours."),
        503: ("Back in a moment", "The certificates cannot be read right now. Please try again in a minute."),
    },
    refusal=("Something went wrong", "The mistake is on our side and has been noted. Please try again later."),
)

GERMAN: Final = Words(
    code="de",
    name="Deutsch",
    months=(
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ),
    date_form="{day}. {month} {year}",
    test_banner="Test – bescheinigt nichts",
    test="Test, kein Zertifikat",
    test_text="Es entstand zum Ausprobieren. Niemand hat etwas abgeschlossen, niemand sollte sich darauf verlassen.",
    test_else="Wäre es echt, stünde hier: {status}.",
    valid="Gültig",
    valid_text="Dieses Zertifikat ist echt und gilt.",
    expired="Abgelaufen",
    expired_text="Dieses Zertifikat ist echt, aber am {date} abgelaufen.",
    revoked="Widerrufen",
    revoked_text="Der Aussteller hat dieses Zertifikat am {date} widerrufen. Verlassen Sie sich nicht darauf.",
    revoked_reason="Angegebener Grund:",
    erased="Gelöscht",
    erased_text="Dieses Zertifikat gab es, aber seine persönlichen Angaben wurden gelöscht. "
    "Es lässt sich nicht mehr bestätigen.",
    corrected="Berichtigt: Dies ist Fassung {n}. Eine Kopie mit anderen Angaben ist überholt.",
    corrected_on="Berichtigt am {date}: Dies ist Fassung {n}. Eine Kopie mit anderen Angaben ist überholt.",
    renewed_by="Es wurde durch ein späteres Zertifikat erneuert:",
    awarded_to="Verliehen an",
    completed="für den Abschluss von",
    issuer="Ausgestellt von",
    completed_on="Abgeschlossen",
    issued_on="Ausgestellt",
    expires_on="Gültig bis",
    never_expires="Unbefristet",
    renews="Erneuert",
    certificate_id="Zertifikatsnummer",
    open_pdf="PDF öffnen",
    how_to_read="So lesen Sie diese Seite: Name, Kurs und Nummer müssen mit dem Dokument übereinstimmen, das Ihnen "
    "vorliegt, und die Adresse oben im Browser muss gehören zu",
    how_to_read_gone="So lesen Sie diese Seite: Was immer auf einem Dokument mit dieser Nummer steht, es zählt nur "
    "diese Seite, solange die Adresse oben im Browser gehört zu",
    dates_as_in="Alle Daten gelten in der Zeitzone {zone}.",
    checked_on="Geprüft am {date}.",
    find="Zertifikat prüfen",
    find_text="Geben Sie die Nummer ein, die auf dem Zertifikat steht, oder fügen Sie seinen Link ein.",
    find_label="Zertifikatsnummer",
    find_button="Prüfen",
    find_hint="17 Buchstaben und Ziffern. Bindestriche, Leerzeichen und Großschreibung spielen keine Rolle.",
    mistyped="Diese Nummer ist vertippt",
    you_typed="Eingegeben",
    wrong_length="Sie hat {n} Buchstaben und Ziffern; eine Zertifikatsnummer hat {length}.",
    wrong_symbol="Sie enthält Zeichen, die in keiner Zertifikatsnummer vorkommen:",
    wrong_check="Die Anzahl der Buchstaben und Ziffern stimmt, aber sie passen nicht zusammen: "
    "Mindestens eine Stelle ist falsch, oder zwei sind vertauscht.",
    look_again="Vergleichen Sie sie Gruppe für Gruppe mit dem Zertifikat und versuchen Sie es noch einmal. "
    "Mit dem Zertifikat selbst ist alles in Ordnung.",
    unknown="Kein solches Zertifikat",
    unknown_text="Diese Nummer ist richtig gebildet, aber kein Zertifikat trägt sie. "
    "Steht sie auf einem Dokument, so wurde es nicht hier ausgestellt.",
    no_pdf="Kein PDF",
    no_pdf_text="Von diesem Zertifikat gibt es zurzeit kein PDF. Wie es um das Zertifikat steht, sagt seine Seite.",
    back="Ein anderes Zertifikat prüfen",
    refusals={
        400: ("Nicht verstanden", "Ihr Browser hat etwas geschickt, das hier nicht beantwortet werden kann."),
        404: ("Hier ist nichts", "Unter dieser Adresse gibt es keine Seite. Ist der Link vollständig?"),
        405: ("So nicht", "Diese Adresse nimmt nicht an, was an sie geschickt wurde."),
        414: ("Zu lang", "Diese Adresse ist zu lang, um eine von unseren zu sein."),
        503: ("Gleich wieder da", "Die Zertifikate sind gerade nicht lesbar. Bitte in einer Minute noch einmal."),
    },
    refusal=(
        "Etwas ging schief",
        "Der Fehler liegt bei uns und ist vermerkt. Bitte versuchen Sie es später noch einmal.",
    ),
)

LANGUAGES: Final = {words.code: words for words in (ENGLISH, GERMAN)}


def words_for(*wishes: str | None) -> Words:
    """Returns the first language wished for that we speak (`de-AT` is German), else English."""
    for wish in wishes:
        code = (wish or "").replace("_", "-").split("-", maxsplit=1)[0].lower()
        if code in LANGUAGES:
            return LANGUAGES[code]
    return ENGLISH
