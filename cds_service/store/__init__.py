"""What the service keeps: decisions, feedback and used tokens, in SQLite or PostgreSQL, with a journal beside it."""
