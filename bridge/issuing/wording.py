"""The words and dates a certificate prints, in the learner's language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

_MONTHS: Final[Mapping[str, str]] = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    # the genitive, as Polish dates are read
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
}
_DAY_MONTH_YEAR: Final[Mapping[str, str]] = {
    "en": "{day} {month} {year}",
    "en-us": "{month} {day}, {year}",
    "de": "{day}. {month} {year}",
    "fr": "{day} {month} {year}",
    "es": "{day} de {month} de {year}",
    "it": "{day} {month} {year}",
    "nl": "{day} {month} {year}",
    "pl": "{day} {month} {year}",
    "pt": "{day} de {month} de {year}",
}
_FIRST_OF_MONTH: Final[Mapping[str, str]] = {"fr": "1er", "it": "1º"}
LANGUAGES: Final = tuple(sorted(_MONTHS))

PHRASES: Final[Mapping[str, Mapping[str, str]]] = {
    "title": {
        "en": "Certificate of Completion",
        "de": "Abschlusszertifikat",
        "fr": "Certificat de réussite",
        "es": "Certificado de finalización",
        "it": "Certificato di completamento",
        "nl": "Certificaat van voltooiing",
        "pl": "Certyfikat ukończenia",
        "pt": "Certificado de conclusão",
    },
    "certifies": {
        "en": "This is to certify that",
        "de": "Hiermit wird bescheinigt, dass",
        "fr": "Nous certifions que",
        "es": "Se certifica que",
        "it": "Si certifica che",
        "nl": "Hierbij wordt verklaard dat",
        "pl": "Niniejszym zaświadcza się, że",
        "pt": "Certifica-se que",
    },
    "completed": {
        "en": "has successfully completed",
        "de": "den folgenden Kurs erfolgreich abgeschlossen hat:",
        "fr": "a suivi avec succès la formation",
        "es": "ha completado con éxito",
        "it": "ha completato con successo",
        "nl": "met succes heeft afgerond:",
        "pl": "ukończył(a) z powodzeniem",
        "pt": "concluiu com êxito",
    },
    "completed_on": {
        "en": "Completed",
        "de": "Abgeschlossen",
        "fr": "Terminé le",
        "es": "Finalizado",
        "it": "Completato",
        "nl": "Afgerond",
        "pl": "Ukończono",
        "pt": "Concluído",
    },
    "issued_on": {
        "en": "Issued",
        "de": "Ausgestellt",
        "fr": "Délivré le",
        "es": "Expedido",
        "it": "Rilasciato",
        "nl": "Afgegeven",
        "pl": "Wydano",
        "pt": "Emitido",
    },
    "valid_until": {
        "en": "Valid until",
        "de": "Gültig bis",
        "fr": "Valable jusqu’au",
        "es": "Válido hasta",
        "it": "Valido fino al",
        "nl": "Geldig tot",
        "pl": "Ważny do",
        "pt": "Válido até",
    },
    "certificate_id": {
        "en": "Certificate ID",
        "de": "Zertifikatsnummer",
        "fr": "Numéro du certificat",
        "es": "N.º de certificado",
        "it": "N. certificato",
        "nl": "Certificaatnummer",
        "pl": "Numer certyfikatu",
        "pt": "N.º do certificado",
    },
    "verify": {
        "en": "Scan to verify",
        "de": "Zur Prüfung scannen",
        "fr": "Scanner pour vérifier",
        "es": "Escanee para verificar",
        "it": "Scansiona per verificare",
        "nl": "Scan om te controleren",
        "pl": "Zeskanuj, aby sprawdzić",
        "pt": "Digitalize para verificar",
    },
    "hours": {
        "en": "Hours",
        "de": "Stunden",
        "fr": "Heures",
        "es": "Horas",
        "it": "Ore",
        "nl": "Uren",
        "pl": "Godziny",
        "pt": "Horas",
    },
    "score": {
        "en": "Score",
        "de": "Ergebnis",
        "fr": "Résultat",
        "es": "Puntuación",
        "it": "Punteggio",
        "nl": "Score",
        "pl": "Wynik",
        "pt": "Pontuação",
    },
    "trainer": {
        "en": "Trainer",
        "de": "Kursleitung",
        "fr": "Formation assurée par",
        "es": "Formación a cargo de",
        "it": "Docente",
        "nl": "Trainer",
        "pl": "Prowadzenie",
        "pt": "Formação por",
    },
    "version": {
        "en": "Version {n}",
        "de": "Fassung {n}",
        "fr": "Version {n}",
        "es": "Versión {n}",
        "it": "Versione {n}",
        "nl": "Versie {n}",
        "pl": "Wersja {n}",
        "pt": "Versão {n}",
    },
    "corrected": {
        "en": "Version {n}, corrected on {date}",
        "de": "Fassung {n}, berichtigt am {date}",
        "fr": "Version {n}, corrigée le {date}",
        "es": "Versión {n}, corregida el {date}",
        "it": "Versione {n}, corretta il {date}",
        "nl": "Versie {n}, gecorrigeerd op {date}",
        "pl": "Wersja {n}, poprawiona {date}",
        "pt": "Versão {n}, corrigida em {date}",
    },
    "revoked": {
        "en": "Revoked on {date}",
        "de": "Widerrufen am {date}",
        "fr": "Révoqué le {date}",
        "es": "Revocado el {date}",
        "it": "Revocato il {date}",
        "nl": "Ingetrokken op {date}",
        "pl": "Unieważniono {date}",
        "pt": "Revogado em {date}",
    },
    "test": {
        "en": "TEST: this is not a valid certificate",
        "de": "TEST: dies ist kein gültiges Zertifikat",
        "fr": "TEST : ceci n’est pas un certificat valable",
        "es": "TEST: este certificado no es válido",
        "it": "TEST: questo certificato non è valido",
        "nl": "TEST: dit is geen geldig certificaat",
        "pl": "TEST: to nie jest ważny certyfikat",
        "pt": "TEST: este certificado não é válido",
    },
}


def language_of(locale: str) -> str:
    """Returns the language tag in lower case, as `en` or `pt-br`; anything malformed is `en`."""
    tag = locale.replace("_", "-").lower()
    return tag if re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}", tag) else "en"


def format_date(day: date, locale: str) -> str:
    """Returns the date as it is written in that language; in ISO 8601 where we do not know how."""
    tag = language_of(locale)
    language = tag.split("-")[0]
    pattern = _DAY_MONTH_YEAR.get(tag) or _DAY_MONTH_YEAR.get(language)
    if pattern is None:
        return day.isoformat()
    number = _FIRST_OF_MONTH.get(language, "1") if day.day == 1 else str(day.day)
    return pattern.format(day=number, month=_MONTHS[language].split()[day.month - 1], year=day.year)


def say(phrase: str, *, locale: str, **values: object) -> str:
    """Returns a phrase in that language, in English where we have none. Raises KeyError for an unknown phrase."""
    texts = PHRASES[phrase]
    text = texts.get(language_of(locale).split("-")[0], texts["en"])
    return text.format(**values)
