"""Storage in a bucket of S3, MinIO or anything that speaks their protocol."""
