//! The memory: SQLite or PostgreSQL behind one Store.
