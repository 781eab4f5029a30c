"""The durable pipeline: what a job does, hop by hop, and what keeps it going after a crash."""
