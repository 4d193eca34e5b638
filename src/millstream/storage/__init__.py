"""Where things last: the Postgres pool, the embedded server, the migrations, the document store."""
