"""A question, the needs and a machine in; findings and a route out."""
