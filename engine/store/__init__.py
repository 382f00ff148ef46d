"""Objects in a place, sealed tables, schemas, leases; the paths of all of it."""
