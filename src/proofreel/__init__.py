"""Proofreel: transcripts, subtitles and review reports for recorded speech."""
