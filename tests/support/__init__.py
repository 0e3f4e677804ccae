"""Real parts for the tests: Apache Kafka, an S3 server that verifies signatures, PostgreSQL."""
