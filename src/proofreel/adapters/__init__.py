"""One outside dependency per file; its errors stop here and come out as `ProofreelError`."""
