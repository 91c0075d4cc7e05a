"""Makes the completions of several records of one learner those of one, as the source did with its records."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select, update

from bridge.store.tables import completions
from bridge.store.transaction import Transaction


def merge(tx: Transaction, source: str, test: bool, *, into: str, merged: Collection[str]) -> int:
    """Gives the completions of the `merged` learners to `into`, as later cycles where both had the course.

    Returns how many moved. Their keys and certificates stay with them, so that nothing is issued again.
    """
    same = completions.c.source == source, completions.c.test == test
    found = select(completions).where(*same, completions.c.subject.in_(merged), completions.c.subject != into)
    rows = tx.connection.execute(found.order_by(completions.c.completed_on, completions.c.id)).mappings().all()
    for row in rows:
        taken = tx.connection.scalar(
            select(func.max(completions.c.cycle)).where(
                *same, completions.c.subject == into, completions.c.course == row["course"]
            )
        )
        values = {"subject": into, "cycle": int(taken or 0) + 1}
        tx.connection.execute(update(completions).where(completions.c.id == row["id"]).values(values))
    return len(rows)
