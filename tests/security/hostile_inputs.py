"""The hostile inputs, numbered, and the tests that hold each of them; what belongs to a later part says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DOOR: Final = "tests/security/test_security_door.py"
TEXTS: Final = "tests/security/test_security_texts.py"
TEMPLATES: Final = "tests/security/test_security_templates.py"
OUT: Final = "tests/security/test_security_outgoing.py"
SECRETS: Final = "tests/security/test_security_secrets.py"
HOSTILE: Final = "tests/web/test_web_hostile.py"
HOOKS: Final = "tests/web/test_web_hooks.py"
PAGES: Final = "tests/web/test_web_pages.py"
HTTP: Final = "tests/clients/test_clients_http.py"
SMTP: Final = "tests/clients/test_clients_smtp.py"
MAIL: Final = "tests/clients/test_clients_mail.py"
PDF: Final = "tests/issuing/test_issuing_pdf.py"
PROCESSES: Final = "tests/issuing/test_issuing_processes.py"
TEXT: Final = "tests/issuing/test_issuing_texts.py"


@dataclass(frozen=True)
class Hostile:
    """One hostile input: what it is, the tests that hold it, and what of it belongs to a later part and why."""

    what: str
    tests: tuple[str, ...] = ()
    later: str | None = None


def at(file: str, *names: str) -> tuple[str, ...]:
    """Returns the ids of tests in one file."""
    return tuple(f"{file}::{name}" for name in names)


_STANDARD_WEBHOOKS: Final = (
    "Standard Webhooks (id, timestamp, several candidates) come with the first source that signs so"
)
_ADMIN: Final = "there are no operator's pages yet: no login, no session, nothing that a browser could be made to do"

TABLE: Final[dict[int, Hostile]] = {
    1: Hostile(
        "no signature",
        at(DOOR, "test_an_unsigned_request_is_refused_and_kept_without_its_body"),
    ),
    2: Hostile(
        "wrong secret",
        at(DOOR, "test_a_wrong_secret_is_refused_like_a_missing_one")
        + at("tests/contract.py", "test_refuses_the_sample_of_another_secret_without_telling_ours"),
    ),
    3: Hostile(
        "body changed by one byte",
        at(DOOR, "test_a_body_that_was_changed_after_signing_is_refused")
        + at("tests/contract.py", "test_refuses_a_changed_body"),
    ),
    4: Hostile(
        "old and future timestamps",
        later=f"no present source signs a time (a replay is caught by its id); {_STANDARD_WEBHOOKS}",
    ),
    5: Hostile("timestamps that are none", later=f"no present source signs a time; {_STANDARD_WEBHOOKS}"),
    6: Hostile(
        "signature headers that are none, or two of them",
        at(
            DOOR,
            "test_a_signature_that_is_none_is_refused",
            "test_two_signatures_are_refused_even_when_one_is_right",
        )
        + at("tests/core/test_core_signatures.py", "test_every_other_signature_is_refused"),
        later=f"versions and lists of candidates: {_STANDARD_WEBHOOKS}",
    ),
    7: Hostile(
        "the same id again, also fifty times at once",
        at(DOOR, "test_the_same_event_fifty_times_at_once_is_one_event_with_one_answer")
        + at(
            "tests/flow/test_flow_loop.py",
            "test_fifty_redeliveries_a_restart_and_other_events_about_it_leave_one_certificate",
        ),
    ),
    8: Hostile(
        "the same id with another body",
        at(DOOR, "test_the_same_id_with_another_body_is_a_revision_and_the_first_wins")
        + at("tests/store/test_store_inbox.py", "test_different_bodies_that_race_all_become_revisions"),
    ),
    9: Hostile(
        "rotation of secrets", at(DOOR, "test_the_secret_before_is_accepted_while_it_is_configured_and_not_after")
    ),
    10: Hostile("the proof of another source", at(DOOR, "test_the_proof_of_one_source_opens_no_other")),
    11: Hostile("slow headers", at(HOSTILE, "test_sixty_slow_senders_keep_nobody_else_waiting")),
    12: Hostile(
        "slow bodies",
        at(
            HOSTILE,
            "test_sixty_slow_senders_keep_nobody_else_waiting",
            "test_a_sender_that_drips_is_cut_off_at_the_deadline",
        ),
    ),
    13: Hostile(
        "bodies over the limit",
        at(DOOR, "test_a_body_over_the_limit_is_refused_and_noted")
        + at(HOSTILE, "test_a_declared_giant_is_refused_before_it_is_sent", "test_an_endless_chunked_body_is_cut_off")
        + at(HOOKS, "test_counts_the_chunks_of_a_body_without_length_exactly"),
    ),
    14: Hostile(
        "requests that can be read in two ways",
        at(DOOR, "test_a_second_request_hidden_in_the_first_is_never_run")
        + at(HOSTILE, "test_refuses_what_could_be_read_in_two_ways_and_runs_nothing_after_it"),
    ),
    15: Hostile(
        "compression bomb",
        at(DOOR, "test_a_compression_bomb_is_refused_unread") + at(HOOKS, "test_refuses_encoded_bodies"),
    ),
    16: Hostile(
        "spoofed X-Forwarded headers",
        at(DOOR, "test_forwarded_headers_of_strangers_change_neither_the_record_nor_a_link")
        + at(HOSTILE, "test_forwarded_headers_of_strangers_are_removed", "test_answers_no_other_host"),
    ),
    17: Hostile(
        "other methods, traversal, long paths",
        at(DOOR, "test_a_hook_takes_nothing_but_post", "test_a_strange_path_leads_nowhere")
        + at(HOSTILE, "test_paths_lead_nowhere_else", "test_long_addresses_are_refused"),
    ),
    18: Hostile(
        "a burst",
        at(DOOR, "test_a_burst_of_two_thousand_loses_nothing_it_acknowledged")
        + at("tests/store/test_store_engine.py", "test_refuses_what_does_not_fit_into_the_queue"),
    ),
    19: Hostile(
        "deep nesting",
        at(DOOR, "test_an_authentic_body_that_cannot_be_read_fails_with_a_reason_and_once")
        + at("tests/core/test_core_payload.py", "test_refuses_in_plain_words"),
    ),
    20: Hostile(
        "NaN, infinities, huge numbers",
        at(DOOR, "test_an_authentic_body_that_cannot_be_read_fails_with_a_reason_and_once"),
    ),
    21: Hostile(
        "names given twice", at(DOOR, "test_an_authentic_body_that_cannot_be_read_fails_with_a_reason_and_once")
    ),
    22: Hostile(
        "surrogates, NUL, byte order marks, other encodings",
        at(
            DOOR,
            "test_an_authentic_body_that_cannot_be_read_fails_with_a_reason_and_once",
            "test_an_unreadable_body_without_proof_is_refused_by_moodles_door",
        ),
    ),
    23: Hostile(
        "JSON of another kind, nothing at all, another content type",
        at(
            DOOR,
            "test_an_authentic_body_that_cannot_be_read_fails_with_a_reason_and_once",
            "test_moodles_door_says_what_it_cannot_read",
            "test_the_declared_type_of_a_body_is_not_believed",
        ),
    ),
    24: Hostile(
        "XML bombs and entities",
        at(DOOR, "test_an_authentic_body_that_cannot_be_read_fails_with_a_reason_and_once")
        + at(TEMPLATES, "test_pictures_that_unfold_are_stopped_or_drawn_within_the_limits"),
        later="nothing reads XML yet; it comes with the source that sends it, and with it defusedxml",
    ),
    25: Hostile(
        "forms with very many fields or parts",
        at(HOOKS, "test_never_reads_the_body_as_the_declared_content_type"),
        later="forms are never read as forms; a source that sends them brings its own limits",
    ),
    26: Hostile(
        "YAML tags, alias bombs, duplicate keys, tabs, ten megabytes",
        at(
            "tests/core/test_document.py",
            "test_an_alias_bomb_is_refused_before_it_grows",
            "test_refuses_bytes_that_are_not_a_small_utf8_text",
            "test_refuses_with_position_and_advice",
            "test_names_both_places_of_a_duplicate_key_and_all_of_them_at_once",
        )
        + at(
            "tests/flow/test_flow_mapping.py", "test_a_broken_edit_keeps_the_old_version_and_says_so_until_it_is_mended"
        )
        + at("tests/security/test_security_attacks.py", "test_a_mapping_that_changes_all_the_time_loses_nobody"),
    ),
    27: Hostile(
        "markup and templates in names",
        at(
            TEXTS,
            "test_markup_in_names_and_titles_is_printed_on_pdf_page_and_mail",
            "test_markup_in_moodles_names_is_text_or_gone",
        )
        + at(PDF, "test_a_learners_text_is_never_markup")
        + at(PAGES, "test_learners_text_stays_text"),
        later=f"the operator's view of it: {_ADMIN}",
    ),
    28: Hostile(
        "line breaks and encoded words in names, titles and file names",
        at(
            TEXTS,
            "test_no_name_and_no_title_adds_a_header_or_a_recipient",
            "test_no_name_in_moodle_adds_a_header",
        )
        + at(MAIL, "test_text_from_outside_adds_no_header_and_no_recipient", "test_any_text_stays_inside_its_header"),
    ),
    29: Hostile(
        "what is not one mail address",
        at(TEXTS, "test_what_is_not_one_address_is_held", "test_an_odd_address_stays_one_address")
        + at(MAIL, "test_refuses_what_is_not_one_address")
        + at(SMTP, "test_takes_no_more_than_one_address_per_recipient"),
    ),
    30: Hostile(
        "names that are long, turned around, invisible, stacked, or in scripts we cannot draw",
        at(
            TEXTS,
            "test_a_name_that_cannot_be_printed_well_is_held_and_says_why",
            "test_nothing_invisible_turns_a_name_around",
        )
        + at(TEXT, "test_holds_stacks_of_accents_but_not_vietnamese_or_polytonic_ones"),
    ),
    31: Hostile(
        "file names",
        at(TEXTS, "test_the_files_of_a_certificate_are_named_by_us") + at(SMTP, "test_a_message_id_is_no_path"),
    ),
    32: Hostile("formulas in spreadsheets", later="nothing is exported as CSV or Excel yet"),
    33: Hostile(
        "dates that are none, and zones",
        at(
            TEXTS,
            "test_a_date_that_is_none_holds_the_event",
            "test_a_date_is_the_one_of_the_issuers_zone_on_pdf_page_and_mail",
            "test_a_moment_in_milliseconds_from_moodle_is_no_date_in_the_far_future",
        )
        + at("tests/core/test_transforms.py", "test_epoch_refuses_zero_milliseconds_and_what_is_no_number"),
    ),
    34: Hostile(
        "scores and hours that are none",
        at(
            TEXTS,
            "test_a_score_that_is_none_is_held_and_a_low_one_issues_nothing",
            "test_hours_of_any_kind_are_text_or_held",
        ),
    ),
    35: Hostile(
        "templates and pictures that eat memory",
        at(
            TEMPLATES,
            "test_a_bomb_in_a_template_ends_its_process_and_nothing_else",
            "test_pictures_that_unfold_are_stopped_or_drawn_within_the_limits",
        )
        + at(
            PROCESSES,
            "test_a_template_that_eats_memory_ends_its_process_and_nothing_else",
            "test_a_process_that_gave_up_gets_no_further_job",
        ),
    ),
    36: Hostile(
        "templates that reach outside",
        at(
            TEMPLATES,
            "test_a_template_reaches_nothing_outside_its_folder",
            "test_the_name_of_a_template_is_never_a_path",
        )
        + at(PDF, "test_reads_no_file_and_asks_no_network"),
    ),
    37: Hostile(
        "templates without end",
        at(TEMPLATES, "test_a_bomb_in_a_template_ends_its_process_and_nothing_else")
        + at(
            PROCESSES, "test_a_template_without_end_is_stopped", "test_a_memory_bomb_in_an_expression_ends_its_process"
        ),
    ),
    38: Hostile(
        "private destinations, rebinding, redirects",
        at(
            OUT,
            "test_a_private_address_is_not_called_unless_the_admin_allows_it",
            "test_the_metadata_service_is_never_called",
            "test_a_redirect_is_not_followed_and_the_token_goes_nowhere",
        )
        + at(
            HTTP,
            "test_refuses_private_addresses_in_every_spelling",
            "test_connects_to_the_address_it_checked_and_resolves_once",
            "test_calls_no_other_host_port_or_folder",
        ),
    ),
    39: Hostile(
        "answers that are none, endless, dripping, or ask to wait for ever",
        at(
            OUT,
            "test_an_answer_that_is_none_is_a_failure_and_tried_again",
            "test_a_vendor_cannot_put_us_off_for_ever",
            "test_hostile_values_in_moodles_answers_break_nothing",
        )
        + at(HTTP, "test_stops_reading_at_the_size_limit", "test_a_drip_feed_ends_at_the_deadline"),
    ),
    40: Hostile(
        "a vendor that answers 401 to everything",
        at(OUT, "test_a_vendor_that_refuses_everything_is_asked_once_per_event_and_hears_no_storm")
        + at(HTTP, "test_gives_up_after_the_second_401"),
        later="pausing the destination with one alert comes with doctor and the alerts; until then each row fails once",
    ),
    41: Hostile(
        "mail servers that wait, refuse, break off or hide STARTTLS",
        at(OUT, "test_mail_is_not_sent_in_the_clear_when_starttls_was_stripped")
        + at(
            "tests/flow/test_flow_mail.py",
            "test_a_mail_server_that_says_later_gets_the_mail_later",
            "test_a_mail_server_that_refuses_for_good_is_not_asked_again",
            "test_a_connection_cut_after_the_mail_was_taken_repeats_it_under_the_same_message_id",
        )
        + at(SMTP, "test_sends_nothing_when_starttls_was_stripped"),
    ),
    42: Hostile(
        "brute force, sessions, forged requests, frames, redirects",
        at(HOSTILE, "test_redirects_to_nobody") + at(PAGES, "test_every_answer_carries_the_strict_headers"),
        later=_ADMIN,
    ),
    43: Hostile(
        "stored scripts, sniffed files, guessed ids",
        at(
            SECRETS,
            "test_guessing_certificate_ids_finds_nothing_and_tells_nothing_apart",
            "test_a_draft_is_told_to_nobody",
            "test_the_page_names_no_address_no_source_and_no_inner_id",
        )
        + at(PAGES, "test_typed_text_stays_text", "test_the_pdf_is_shown_inline_under_a_safe_name"),
        later="a limit on guesses comes with the certificate API; an id has 80 random bits until then. "
        f"The payload viewer: {_ADMIN}",
    ),
    44: Hostile(
        "secrets",
        at(
            SECRETS,
            "test_no_secret_leaves_or_is_stored_anywhere",
            "test_no_message_about_a_wrong_configuration_tells_a_secret",
            "test_a_database_that_cannot_be_reached_tells_no_password",
            "test_a_path_token_stays_out_of_the_record_however_it_was_spelt",
        )
        + at(PROCESSES, "test_a_process_gets_no_secret_from_the_environment"),
        later="/metrics and exports come later",
    ),
}
