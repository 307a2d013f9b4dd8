"""Everything that touches the world: settings, clock, database, recorder, vault, files, mail, identity."""
