"""Alembic's entry: it runs the versions on the connection that ``migrate`` gives it."""

from alembic import context

from cds_service.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
