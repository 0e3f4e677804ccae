"""Who is told of results, where, and how that went: registrations and the log in SQL. Knows no Kafka and no HTTP."""
