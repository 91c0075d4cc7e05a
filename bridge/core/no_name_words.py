"""The words that stand where a name is missing, in the languages of our schools; each is also known without accents."""

from __future__ import annotations

import unicodedata
from typing import Final

NEVER: Final = """
undefined notprovided notavailable noname objectobject
unknown unbekannt unbekannte desconocido desconocida inconnu inconnue desconhecido desconhecida sconosciuto sconosciuta
onbekend onbekende nieznany nieznana nieznane okänd okänt ukjent ukendt tuntematon neznámý neznámá neznámy neznano
nepoznat nepoznato ismeretlen necunoscut bilinmeyen bilinmiyor неизвестно неизвестный неизвестна невідомо невідомий
άγνωστος άγνωστο 未知 不明 알수없음 neuvedeno neuvedené nespecificat belirtilmemiş
user users username benutzer benutzerin benutzername nutzer nutzername usuario usuário utilisateur utilisatrice utente
gebruiker gebruikersnaam użytkownik användare käyttäjä uživatel používateľ felhasználó utilizator kullanıcı
пользователь користувач χρήστης 用户 ユーザー 사용자
deleted gelöscht gelöschter gelöschte eliminado eliminada supprimé supprimée excluído excluída cancellato verwijderd
verwijderde usunięty usunięta удалённый удаленный
anonymous anonym anonymer anonyme anónimo anônimo anonimo anoniem anonimowy анонимный анонім 匿名
firstname lastname fullname displayname vorname nachname familienname apellido apellidos prénom cognome sobrenome
voornaam achternaam imię nazwisko fornavn etternavn efternavn förnamn efternamn etunimi sukunimi příjmení priezvisko
prezime soyad фамилия прізвище επώνυμο
"""
"""Words that are part of nobody's name, so that one of them is enough wherever it stands."""

ALONE: Final = """
null none true false void empty blank missing
name your my full first last middle given family surname title here
test tests testing tester teste testuser testname testperson testbenutzer prueba essai prova proef próba
demo dummy fake temp default sample example beispiel ejemplo exemple exemplo esempio voorbeeld przykład muster qa
guest guests gast invitado invité convidado ospite gość guestuser
student learner participant attendee registrant member customer client contact lead person account new admin
administrator teilnehmer teilnehmerin alumno étudiant aluno kursant deelnemer cursist
leer vacío vide vazio vuoto leeg pusty brak keine kein keiner ninguno ninguna aucun aucune nenhum nessuno geen ignoto
asdf asdfg asdfgh asdfasdf qwer qwerty qwertz azerty foo bar foobar lorem ipsum tbd tba tbc bruger bruker
姓名 名前 氏名 이름 성명 名無し 無名 无名 未命名 未填写 未提供 未入力 未設定 이름없음 무명 미입력 없음 无
"""
"""Words that are no name where nothing else stands beside them; next to a real one many are (Christopher Guest)."""

PHRASES: Final = """
not provided|not available|not applicable|not specified|not set|not given|not known|not found|not entered|not defined
not recorded|not supplied|not disclosed|not stated|none given|none provided|no name|no value|no data|no surname
your name|first name|last name|full name|given name|family name|middle name|name here|name missing|insert name
enter name|object object|to be announced|to be determined
kein name|ohne name|kein vorname|kein nachname|ohne nachname|keine angabe|keine angaben|nicht angegeben|nicht bekannt
nicht verfügbar|nicht vorhanden|nicht definiert|nicht ausgefüllt|nicht gesetzt|nicht zutreffend|name fehlt
sin nombre|sin apellido|sin datos|no disponible|no especificado|no proporcionado|no definido|no registrado|no aplica
nombre completo|nombre apellido|nombre y apellido|nombre y apellidos|su nombre
sans nom|sans prénom|non renseigné|non renseignée|non disponible|non spécifié|non communiqué|non défini|non fourni
nom prénom|nom et prénom|nom complet|votre nom|nom inconnu
sem nome|sem sobrenome|não informado|não disponível|não fornecido|não definido|não especificado|não se aplica
nome completo|nome sobrenome|seu nome
senza nome|senza cognome|non disponibile|non specificato|non fornito|non definito|non applicabile|nome cognome
nome e cognome|il tuo nome
geen naam|geen achternaam|niet beschikbaar|niet opgegeven|niet bekend|niet ingevuld|niet gedefinieerd
niet van toepassing|uw naam|je naam|volledige naam
bez nazwy|bez imienia|bez nazwiska|brak danych|brak nazwy|brak imienia|brak nazwiska|nie podano|nie dotyczy
nie określono
uden navn|uten navn|intet navn|ikke angivet|ikke oplyst|ikke oppgitt|utan namn|namn saknas|ej angivet|uppgift saknas
ei nimeä|ei tiedossa|ei ilmoitettu|bez jména|bez mena|nincs név|nincs megadva|név nélkül|fără nume|nume prenume
ime prezime|ime i prezime|bez imena|isim yok|ad soyad|adı soyadı
без имени|нет имени|нет данных|не указано|не указан|не указана|имя фамилия|без імені|не вказано|ім я прізвище|тест тест
χωρίς όνομα|όνομα επώνυμο|δεν έχει οριστεί
名前 なし|名前なし|이름 없음|알 수 없음|غير معروف|بدون اسم|لا يوجد|ללא שם|לא ידוע|אין שם
"""
"""Several words that say so together, wherever they stand in the name."""


def bare(text: str) -> str:
    """Returns the text in small letters without accents."""
    apart = unicodedata.normalize("NFD", text.casefold())
    return unicodedata.normalize("NFC", "".join(sign for sign in apart if not unicodedata.combining(sign)))


def known(listed: str, between: str | None = None) -> frozenset[str]:
    """Returns what is listed, with white space or a sign `between`, as people write it and without accents."""
    entries = listed.replace("\n", between or " ").split(between)
    return frozenset(form for entry in entries if entry for form in (entry.casefold(), bare(entry)))
