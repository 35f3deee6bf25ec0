"""The catalog in PostgreSQL. Nothing above it sees SQL, SQLAlchemy or psycopg."""
