"""The Alembic revisions of the store's tables, found inside the installed package."""
